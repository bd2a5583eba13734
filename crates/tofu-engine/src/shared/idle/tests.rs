//! When threads look before they sleep, and for how long.

use super::*;

fn lively(now: Instant) -> Traffic {
    let traffic = Traffic {
        started: now - Duration::from_secs(1),
        both_ways: AtomicU64::new(0),
    };
    traffic.tell(now);
    traffic
}

/// How often a spin that never finds anything has looked.
fn looks(spinner: &mut Spinner, traffic: &Traffic, deadline: Option<Instant>) -> usize {
    let mut looks = 0;
    let found = spinner.spin(traffic, Instant::now(), deadline, || {
        looks += 1;
        false
    });
    assert!(!found);
    looks
}

#[test]
fn nobody_looks_where_messages_go_one_way_or_the_deadline_has_passed() {
    let now = Instant::now();
    let mut spinner = Spinner::new(IdleStrategy::Adaptive);
    assert_eq!(looks(&mut spinner, &Traffic::default(), None), 0);
    assert_eq!(looks(&mut spinner, &lively(now - LIVELY), None), 0);
    assert_eq!(looks(&mut spinner, &lively(now), Some(now)), 0);
    assert_eq!(
        looks(&mut Spinner::new(IdleStrategy::Off), &lively(now), None),
        0
    );
}

#[test]
fn what_was_in_vain_halves_the_time_and_what_paid_restores_it() {
    let traffic = lively(Instant::now() + Duration::from_secs(1000));
    let mut spinner = Spinner::new(IdleStrategy::Adaptive);
    assert!(looks(&mut spinner, &traffic, None) > 0);
    let is_crowded = spinner.crowded.take().is_some();
    assert!(is_crowded || spinner.budget == FULL / 2, "{spinner:?}");
    spinner.budget = LEAST;
    assert!(looks(&mut spinner, &traffic, None) > 0);
    assert_eq!(spinner.budget, LEAST, "it does not fall to nothing");
    spinner.crowded = None;
    assert!(spinner.spin(&traffic, Instant::now(), None, || true));
    assert_eq!(spinner.budget, FULL);
}

#[test]
fn a_short_sleep_restores_only_what_looking_just_before_it_has_cost() {
    let mut spinner = Spinner::new(IdleStrategy::Adaptive);
    (spinner.budget, spinner.missed) = (LEAST, true);
    spinner.slept(WAKING);
    assert_eq!(spinner.budget, LEAST, "a long one");
    spinner.slept(Duration::from_micros(20));
    assert_eq!(spinner.budget, LEAST, "nobody had looked");
    spinner.missed = true;
    spinner.slept(Duration::from_micros(20));
    assert!(spinner.budget >= FULL);
}

#[test]
fn long_waits_that_pay_again_and_again_allow_longer_ones_until_one_does_not() {
    let traffic = lively(Instant::now() + Duration::from_secs(1000));
    let mut spinner = Spinner::new(IdleStrategy::Adaptive);
    spinner.pays(FULL / 2);
    assert_eq!(spinner.budget, FULL, "it was not long");
    for _ in 0..10 {
        spinner.pays(FULL);
    }
    assert_eq!(spinner.budget, MOST);
    while spinner.budget == MOST {
        looks(&mut spinner, &traffic, None);
        spinner.crowded = None;
    }
    assert_eq!(spinner.budget, FULL);
}

/// A spinner that has just had a long yield.
fn crowded() -> Spinner {
    let traffic = lively(Instant::now() + Duration::from_secs(1000));
    let mut spinner = Spinner::new(IdleStrategy::Adaptive);
    let mut slow = || {
        let start = Instant::now();
        while start.elapsed() <= CROWDED {
            std::hint::spin_loop();
        }
        false
    };
    assert!(!spinner.spin(&traffic, Instant::now(), None, &mut slow));
    spinner
}

/// Whether it looks at all at `now`.
fn looks_at(spinner: &mut Spinner, now: Instant) -> bool {
    spinner.spin(&lively(now), now, None, || true)
}

#[test]
fn a_long_yield_that_left_little_to_do_bars_further_looking() {
    let mut spinner = crowded();
    let Crowded { yielded, resumed } = spinner.crowded.unwrap();
    assert!(yielded > CROWDED);
    let little = yielded / WORTH - Duration::from_nanos(1);
    assert!(!looks_at(&mut spinner, resumed + little));
    let barred = resumed + yielded * BARRED;
    assert!(!looks_at(&mut spinner, barred - Duration::from_nanos(1)));
    assert!(looks_at(&mut spinner, barred));
}

#[test]
fn a_long_yield_that_left_enough_to_do_was_not_lost() {
    let mut spinner = crowded();
    let Crowded { yielded, resumed } = spinner.crowded.unwrap();
    let now = resumed + yielded / WORTH + Duration::from_nanos(1);
    assert!(looks_at(&mut spinner, now));
    // From then on traffic is remembered for longer, and a while later no more.
    let after = |spinner: &mut Spinner, traffic: Instant, pause: Duration| {
        let now = traffic + pause;
        spinner.spin(&lively(traffic), now, None, || true)
    };
    assert!(after(&mut spinner, now, LIVELY_SHARED / 2));
    assert!(!after(&mut spinner, now, LIVELY_SHARED));
    assert!(!after(&mut spinner, now + SHARED, LIVELY));
}

#[test]
fn sleep_behind_a_long_yield_is_no_work_and_a_long_one_shows_that_it_was_lost() {
    let mut spinner = crowded();
    let Crowded { yielded, resumed } = spinner.crowded.unwrap();
    let short = WAKING - Duration::from_nanos(1);
    spinner.slept(short);
    assert!(!looks_at(&mut spinner, resumed + short));
    let mut spinner = crowded();
    let Crowded { yielded: other, .. } = spinner.crowded.unwrap();
    spinner.slept(WAKING);
    assert!(!looks_at(
        &mut spinner,
        resumed + WAKING + other.max(yielded)
    ));
}

#[test]
fn the_busy_one_looks_until_its_deadline() {
    let deadline = Instant::now() + Duration::from_millis(5);
    let mut spinner = Spinner::new(IdleStrategy::Busy);
    assert!(looks(&mut spinner, &Traffic::default(), Some(deadline)) > 0);
    assert!(Instant::now() >= deadline);
}
