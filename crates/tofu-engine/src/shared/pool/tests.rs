//! The pool: what it keeps, what it counts, and when it tells of room.

use std::ops::Deref;

use super::*;

/// A pool that is closed in the end: its messages know it, so otherwise it is never freed.
struct Closing(Arc<Pool>);

impl Deref for Closing {
    type Target = Arc<Pool>;

    fn deref(&self) -> &Arc<Pool> {
        &self.0
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn pool(initial: usize, maximum: usize) -> Closing {
    let options = Options::default()
        .pool_initial(initial)
        .pool_maximum(maximum)
        .normalized();
    Closing(Pool::new(
        &options,
        &Arc::new(Worklist::new(Box::new(|| {}), Arc::default())),
    ))
}

#[test]
fn the_smallest_pool_gives_one_then_none_and_always_one_more() {
    let pool = pool(1, 1);
    let first = pool.get(Allocation::Always).unwrap();
    assert!(pool.get(Allocation::PoolOnly).is_none());
    let second = pool.get(Allocation::Always).unwrap();
    assert_eq!(pool.levels().0, 2);
    drop(first);
    drop(second);
    assert_eq!(
        (pool.levels().0, pool.levels().1),
        (0, 1),
        "one is kept, one is freed"
    );
}

#[test]
fn a_message_comes_back_as_new_and_only_a_few_grown_ones_keep_their_buffers() {
    let pool = pool(0, 16_384);
    let mut held = messages(&pool, 100);
    for msg in &mut held {
        msg.body_mut().append(&[7; 60_000]).unwrap();
        msg.set_message_id(9.into());
    }
    drop(held);
    let again = messages(&pool, 100);
    let kept: usize = again.iter().map(|msg| msg.capacity()).sum();
    assert!(
        (3 << 20..=4 << 20).contains(&kept),
        "a sixteenth of 64 MiB, not {kept}"
    );
    for msg in &again {
        assert_eq!(msg.body().len(), 0);
        assert!(!msg.message_id().is_assigned());
    }
}

#[test]
fn frames_and_messages_count_against_the_whole_and_the_share() {
    let pool = pool(0, 8);
    let (one, two) = (pool.open_share(), pool.open_share());
    assert_eq!(pool.room(one), 4, "half of the pool");
    pool.charge_frames(one, 4);
    assert_eq!((pool.room(one), pool.room(two)), (0, 4));
    let msg = pool.get_for_frame(&mut Spare::default(), 1, one);
    assert_eq!(pool.room(one), 0, "a frame has become a message");
    drop(msg);
    assert_eq!(pool.room(one), 1);
    pool.refund_frames(one, 4, 3);
    assert_eq!((pool.room(one), pool.levels().0), (4, 0));
}

#[test]
fn a_share_is_used_again_only_when_its_messages_have_returned() {
    let pool = pool(0, 8);
    let share = pool.open_share();
    let msg = pool.get_for_delivery(share);
    pool.close_share(share);
    assert_ne!(pool.open_share(), share);
    drop(msg);
    assert_eq!(pool.open_share(), share);
}

#[test]
fn a_closed_pool_keeps_nothing() {
    let pool = pool(4, 8);
    let msg = pool.get(Allocation::Always).unwrap();
    pool.close();
    drop(msg);
    assert_eq!((pool.levels().1, pool.levels().0), (0, 0));
    assert_eq!(Arc::strong_count(&pool), 1, "no message keeps the pool");
}

#[test]
fn the_worklist_hears_of_room_after_hunger_and_only_then() {
    let options = Options::default()
        .pool_initial(0)
        .pool_maximum(8)
        .normalized();
    let worklist = Arc::new(Worklist::new(Box::new(|| {}), Arc::default()));
    let pool = Closing(Pool::new(&options, &worklist));
    let told = || {
        let mut work = crate::shared::worklist::Work::default();
        worklist.take(&mut work);
        work.pool_room
    };
    let share = pool.open_share();
    // Receives a frame: a batch of one.
    let receive = || {
        let msg = pool.get_for_frame(&mut Spare::default(), 1, share);
        pool.settle_frames(share, 1);
        msg
    };
    pool.charge_frames(share, 4);
    drop(receive());
    assert!(!told(), "nobody was refused");
    pool.charge_frames(share, 1);
    assert_eq!(pool.room(share), 0);
    drop(receive());
    assert!(told(), "a quarter of the share is free");
    pool.charge_frames(share, 1);
    assert_eq!(pool.room(share), 0);
    let held: Vec<Msg> = (0..4).map(|_| receive()).collect();
    assert!(!told());
    drop(held);
    assert!(told(), "the first that returns, for nothing else is queued");
}

/// A pool whose threads keep so many messages each.
fn with_magazines(maximum: usize, magazine_len: usize) -> Closing {
    let options = Options::default()
        .pool_initial(0)
        .pool_maximum(maximum)
        .normalized();
    let worklist = Arc::new(Worklist::new(Box::new(|| {}), Arc::default()));
    Closing(Pool::with_magazines(&options, &worklist, magazine_len))
}

fn messages(pool: &Arc<Pool>, count: usize) -> Vec<Msg> {
    let messages = (0..count).map(|_| pool.get(Allocation::Always));
    messages.collect::<Option<_>>().unwrap()
}

#[test]
fn what_threads_keep_for_themselves_is_counted_to_the_last_message() {
    let pool = with_magazines(4000, 4);
    let held = messages(&pool, 600);
    assert_eq!(pool.levels(), (600, 0), "more than a page holds");
    let handed_over = std::thread::spawn({
        let pool = Arc::clone(&pool);
        move || {
            drop(held);
            assert_eq!(pool.levels(), (0, 600));
        }
    });
    handed_over.join().unwrap();
    assert_eq!(pool.levels(), (0, 600), "the magazine went with its thread");
    drop(messages(&pool, 10));
    assert_eq!(pool.levels(), (0, 600));
    pool.check_invariants().unwrap();
}

#[test]
fn a_pool_is_full_when_it_is_whatever_stands_on_the_pages() {
    let pool = with_magazines(8, 4);
    let share = pool.open_share();
    let mut held = messages(&pool, 7);
    assert_eq!(pool.room(share), 1);
    held.extend(messages(&pool, 1));
    assert_eq!(pool.room(share), 0);
    held.pop();
    assert_eq!(pool.room(share), 1);
}

#[test]
fn the_worklist_hears_of_a_message_that_lies_in_a_magazine() {
    let options = Options::default()
        .pool_initial(0)
        .pool_maximum(2)
        .normalized();
    let worklist = Arc::new(Worklist::new(Box::new(|| {}), Arc::default()));
    let pool = Closing(Pool::with_magazines(&options, &worklist, 4));
    let share = pool.open_share();
    let held = messages(&pool, 2);
    assert_eq!(pool.room(share), 0);
    assert!(!worklist.is_pending());
    std::thread::spawn(move || drop(held)).join().unwrap();
    assert!(worklist.is_pending());
}

#[test]
fn messages_of_several_groups_go_back_to_their_shares() {
    let pool = with_magazines(100, 4);
    let shares = [pool.open_share(), pool.open_share()];
    let held: Vec<_> = (0..20)
        .map(|index| pool.get_for_delivery(shares[index % 2]))
        .collect();
    assert_eq!(shares.map(|share| pool.room(share)), [40, 40]);
    drop(held);
    assert_eq!(shares.map(|share| pool.room(share)), [50, 50]);
    pool.close_share(shares[0]);
    assert_eq!(pool.open_share(), shares[0], "nothing of it is in use");
}

#[test]
fn a_share_whose_last_message_a_magazine_takes_is_used_again() {
    let pool = with_magazines(100, 4);
    let share = pool.open_share();
    let msg = pool.get_for_delivery(share);
    pool.close_share(share);
    assert_ne!(pool.open_share(), share);
    drop(msg);
    assert_eq!(pool.open_share(), share);
    assert_eq!(pool.room(share), 50);
}

#[test]
fn the_magazines_of_a_closed_pool_are_emptied_when_next_used() {
    let pool = with_magazines(100, 4);
    let held = messages(&pool, 3);
    drop(messages(&pool, 3));
    assert_eq!(pool.levels(), (3, 3));
    pool.close();
    drop(held);
    assert_eq!(pool.levels(), (0, 0));
    assert_eq!(Arc::strong_count(&pool), 1, "no message keeps the pool");
}

#[test]
fn more_threads_than_there_may_be_magazines_share_the_pool() {
    let pool = with_magazines(10_000, 4);
    let barrier = Arc::new(std::sync::Barrier::new(40));
    let threads: Vec<_> = (0..40)
        .map(|_| {
            let (pool, barrier) = (Arc::clone(&pool), Arc::clone(&barrier));
            std::thread::spawn(move || {
                let held = messages(&pool, 10);
                barrier.wait();
                assert_eq!(pool.levels().0, 400);
                barrier.wait();
                drop(held);
                barrier.wait();
                assert_eq!(pool.levels(), (0, 400));
                barrier.wait();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(pool.levels(), (0, 400));
    pool.check_invariants().unwrap();
}

#[test]
fn what_a_thread_gave_back_before_it_saw_the_watcher_is_found_by_a_second_look() {
    let pool = with_magazines(8, 4);
    let share = pool.open_share();
    let held = messages(&pool, 8);
    let watches = pool.watches();
    assert_eq!(pool.room(share), 0);
    assert_ne!(pool.watches(), watches, "the core is to look again");
    // As the giving thread sees it at that very moment.
    pool.watched.store(false, Ordering::Relaxed);
    drop(held);
    pool.watched.store(true, Ordering::Relaxed);
    assert!(
        !pool
            .worklist
            .upgrade()
            .is_some_and(|list| list.is_pending())
    );
    assert!(pool.look_again());
    assert!(!pool.look_again(), "told once");
    assert!(pool.room(share) > 0);
}

#[test]
fn levels_stay_exact_where_a_full_magazine_meets_a_watcher() {
    let pool = with_magazines(8, 4);
    let share = pool.open_share();
    let mut held = messages(&pool, 12);
    // The magazine is full.
    for _ in 0..4 {
        held.pop();
    }
    assert_eq!(pool.levels(), (8, 4));
    assert_eq!(pool.room(share), 0);
    held.pop();
    assert_eq!(pool.levels(), (7, 5));
}

#[test]
fn a_closed_pool_is_forgotten_when_another_is_used() {
    let one = with_magazines(100, 4);
    drop(messages(&one, 3));
    one.close();
    let two = with_magazines(100, 4);
    drop(messages(&two, 3));
    assert_eq!(Arc::strong_count(&one), 1, "no message keeps the pool");
}

#[test]
fn two_pools_by_turns_on_one_thread_count_exactly() {
    let (one, two) = (with_magazines(4000, 4), with_magazines(4000, 4));
    let shares = (one.open_share(), two.open_share());
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for round in 0..3000 {
        a.push(one.get(Allocation::Always).unwrap());
        b.push(two.get_for_delivery(shares.1));
        a.push(one.get_for_delivery(shares.0));
        if round % 3 == 0 {
            a.remove(0);
            b.pop();
        }
        assert_eq!(one.levels().0, a.len());
        assert_eq!(two.levels().0, b.len());
    }
    drop((a, b));
    assert_eq!((one.levels().0, two.levels().0), (0, 0));
    assert_eq!(one.open_share().0, 1);
}

#[test]
fn a_run_takes_what_it_needs_out_of_the_magazine_and_gives_the_rest_back() {
    let pool = with_magazines(4000, 64);
    let share = pool.open_share();
    drop(messages(&pool, 50));
    let free = pool.levels().1;
    let mut spare = Spare::default();
    pool.charge_frames(share, 40);
    let mut held = Vec::new();
    for left in (21..=40).rev() {
        held.push(pool.get_for_frame(&mut spare, left, share));
        assert!(spare.0.len() < left);
    }
    assert_eq!(pool.levels(), (40, free - held.len() - spare.0.len()));
    assert!(!spare.0.is_empty());
    pool.give_back(&mut spare);
    assert_eq!(pool.levels().1, free - held.len());
    pool.refund_frames(share, 40, 20);
    drop(held);
    assert_eq!(pool.levels(), (0, free));
    // At the end of a run nothing is left over.
    for len in 1..40 {
        for left in (1..=len).rev() {
            let _msg = pool.get_for_delivery(share);
            let mut msg = pool.get_for_frame(&mut spare, left, share);
            pool.count(&mut msg, share);
        }
        assert!(spare.0.is_empty(), "{len}");
    }
    assert_eq!(pool.levels(), (0, pool.levels().1));
}
