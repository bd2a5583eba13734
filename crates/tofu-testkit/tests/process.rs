//! Counting what this process holds. In a test program of its own and one test only, so that no
//! neighbour opens or starts anything meanwhile.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tofu_testkit::{
    descriptor_count, resident_bytes, run_tasks, thread_count, threads_named, wait_until,
};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn threads_descriptors_and_memory_are_counted() {
    threads().unwrap();
    descriptors().unwrap();
    memory().unwrap();
}

fn threads() -> io::Result<()> {
    let before = thread_count()?;
    assert!(before >= 1);
    assert_eq!(threads_named("counted-thread")?, 0);

    let threads: Vec<_> = (0..3).map(started).collect::<io::Result<_>>()?;
    wait_until(LONG, "the threads to have their names", || {
        threads_named("counted-thread").ok() == Some(3)
    });
    assert_eq!(threads_named("counted-threads")?, 0);
    // The kernel keeps 15 bytes of a name; the prefix is cut alike.
    assert_eq!(threads_named("counted-thread-and-more")?, 3);
    assert_eq!(thread_count()?, before + 3);

    for (keep, thread) in threads {
        drop(keep);
        assert!(thread.join().is_ok());
    }
    let all_gone = || thread_count().ok() == Some(before);
    wait_until(LONG, "the threads to be gone", all_gone);
    assert!(run_tasks(LONG, vec![Box::new(|| {}), Box::new(|| {})]).is_ok());
    wait_until(LONG, "the tasks' threads to be gone", all_gone);
    Ok(())
}

fn started(number: u8) -> io::Result<(mpsc::Sender<()>, JoinHandle<()>)> {
    let (keep, end) = mpsc::channel();
    let thread = thread::Builder::new().name(format!("counted-thread-{number}"));
    Ok((keep, thread.spawn(move || assert!(end.recv().is_err()))?))
}

fn descriptors() -> io::Result<()> {
    let before = descriptor_count()?;
    assert!(before >= 3);
    let files: Vec<File> = (0..5)
        .map(|_| File::open("/dev/null"))
        .collect::<io::Result<_>>()?;
    assert_eq!(descriptor_count()?, before + 5);
    drop(files);
    assert_eq!(descriptor_count()?, before);
    Ok(())
}

fn memory() -> io::Result<()> {
    const LARGE: usize = 64 << 20;
    let before = resident_bytes(std::process::id())?;
    let block = vec![1_u8; LARGE];
    let grown = resident_bytes(std::process::id())?.saturating_sub(before);
    assert!(grown > LARGE as u64 / 2, "{grown} bytes more for {LARGE}");
    assert_eq!(block.len(), LARGE);
    assert!(resident_bytes(u32::MAX).is_err());
    Ok(())
}
