//! The pool: what it keeps, what it counts, and when it tells of room.

use super::*;

fn pool(initial: usize, maximum: usize) -> Arc<Pool> {
    let options = Options::default()
        .pool_initial(initial)
        .pool_maximum(maximum)
        .normalized();
    Pool::new(
        &options,
        Arc::new(Worklist::new(Box::new(|| {}), Arc::default())),
    )
}

#[test]
fn the_smallest_pool_gives_one_then_none_and_always_one_more() {
    let pool = pool(1, 1);
    let first = pool.get(Allocation::Always).unwrap();
    assert!(pool.get(Allocation::PoolOnly).is_none());
    let second = pool.get(Allocation::Always).unwrap();
    assert_eq!(pool.levels().0, 2);
    drop(first);
    pool.recycle(second);
    assert_eq!(
        (pool.levels().0, pool.levels().1),
        (0, 1),
        "one is kept, one is freed"
    );
}

#[test]
fn a_message_comes_back_as_new_and_a_grown_one_without_its_buffers() {
    let pool = pool(1, 16_384);
    let mut msg = pool.get(Allocation::PoolOnly).unwrap();
    msg.body_mut().append(&[7; 60_000]).unwrap();
    msg.set_message_id(9.into());
    drop(msg);
    let msg = pool.get(Allocation::PoolOnly).unwrap();
    assert_eq!(msg.body().len(), 0);
    assert!(!msg.message_id().is_assigned());
    assert!(msg.capacity() <= 4096);
}

#[test]
fn frames_and_messages_count_against_the_whole_and_the_share() {
    let pool = pool(0, 8);
    let (one, two) = (pool.open_share(), pool.open_share());
    assert_eq!(pool.room(one), 4, "half of the pool");
    pool.charge_frames(one, 4);
    assert_eq!((pool.room(one), pool.room(two)), (0, 4));
    let msg = pool.exchange_frame(one);
    assert_eq!(pool.room(one), 0, "a frame has become a message");
    drop(msg);
    assert_eq!(pool.room(one), 1);
    pool.refund_frames(one, 3);
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
    let pool = Pool::new(&options, Arc::clone(&worklist));
    let told = || {
        let mut work = crate::shared::worklist::Work::default();
        worklist.take(&mut work);
        work.pool_room
    };
    let share = pool.open_share();
    pool.charge_frames(share, 4);
    drop(pool.exchange_frame(share));
    assert!(!told(), "nobody was refused");
    pool.charge_frames(share, 1);
    assert_eq!(pool.room(share), 0);
    drop(pool.exchange_frame(share));
    assert!(told(), "a quarter of the share is free");
    pool.charge_frames(share, 1);
    assert_eq!(pool.room(share), 0);
    let held: Vec<Msg> = (0..4).map(|_| pool.exchange_frame(share)).collect();
    assert!(!told());
    drop(held);
    assert!(told(), "the first that returns, for nothing else is queued");
}
