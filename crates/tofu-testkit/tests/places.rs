//! Free ports are free, temporary paths keep what they promise.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use tofu_addr::{Address, MAX_UDS_PATH_LEN};
use tofu_msg::Message;
use tofu_testkit::{TempUdsPath, free_tcp_port};

#[test]
fn ports_are_free_and_differ_and_one_in_use_is_not_given() {
    let ports: HashSet<u16> = (0..200).map(|_| free_tcp_port().unwrap()).collect();
    assert_eq!(ports.len(), 200);
    for port in ports {
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }

    // The ports follow each other, so the next ones can be taken away.
    let given = free_tcp_port().unwrap();
    let held: Vec<TcpListener> = (1..=20)
        .filter_map(|step| TcpListener::bind(("127.0.0.1", given + step)).ok())
        .collect();
    let taken: HashSet<u16> = held
        .iter()
        .map(|l| l.local_addr().unwrap().port())
        .collect();
    assert!((0..20).all(|_| !taken.contains(&free_tcp_port().unwrap())));
}

#[test]
fn paths_are_absolute_fitting_absent_and_unique() {
    let paths: Vec<TempUdsPath> = (0..100).map(|_| TempUdsPath::new().unwrap()).collect();
    for path in &paths {
        assert!(path.is_absolute());
        assert!(path.as_os_str().len() <= MAX_UDS_PATH_LEN);
        assert!(!path.exists() && path.parent().unwrap().is_dir());
        Address::uds_server(path)
            .format(&mut Message::default())
            .unwrap();
    }
    let unique: HashSet<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    assert_eq!(unique.len(), paths.len());
}

#[test]
fn the_path_goes_with_its_owner() {
    let unused = TempUdsPath::new().unwrap();
    let used = TempUdsPath::new().unwrap();
    let listener = UnixListener::bind(&used).unwrap();
    UnixStream::connect(&used).unwrap();
    // What a program keeps beside its socket goes too.
    fs::write(used.with_extension("lock"), "").unwrap();
    assert!(used.exists());

    let removed: Vec<PathBuf> = [unused, used]
        .map(|path| path.parent().unwrap().to_path_buf())
        .into_iter()
        .collect();
    assert!(removed.iter().all(|folder| !folder.exists()), "{removed:?}");
    drop(listener);
}

#[test]
fn a_path_that_the_test_removed_drops_quietly() {
    let path = TempUdsPath::new().unwrap();
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    drop(path);
}
