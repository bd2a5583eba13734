//! Socket files that go, come back, or only seem to. What the kernel has to tell of a file it has
//! told when the call that changed the file returns; so nothing here waits.

use super::*;
use crate::net::testing::{World, any_port, in_own_process, more_descriptors, no_more_descriptors};
use crate::net::transport::{MioListener, Target};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use tempfile::TempDir;
use tofu_addr::UdsName;

/// Whether files are told of here, or only looked at.
const IS_TOLD: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A listener on `a/b/s` in a folder of its own.
struct Scene {
    world: World,
    folder: TempDir,
    listener: Option<MioListener>,
    token: Token,
    now: Time,
}

impl Scene {
    /// The file was made, and nobody has looked at it yet.
    fn unseen() -> Scene {
        let folder = tempfile::Builder::new().prefix("tofu").tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        Scene::listening(folder, "a/b/s")
    }

    fn listening(folder: TempDir, path: &str) -> Scene {
        let mut world = World::new();
        let (listener, token, _) = world.listen(&target(&folder, path));
        Scene {
            world,
            folder,
            listener: Some(listener),
            token,
            now: Time::from_start(Duration::from_secs(1000)),
        }
    }

    /// The file was made and seen.
    fn new() -> Scene {
        let mut scene = Scene::unseen();
        assert_eq!(scene.world.transport.next_look(), Some(Time::START));
        scene.assert_unharmed();
        scene
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn path(&self) -> PathBuf {
        self.at("a/b/s")
    }

    fn listen_again(&mut self) {
        let (listener, token, _) = self.world.listen(&target(&self.folder, "a/b/s"));
        self.listener = Some(listener);
        self.token = token;
    }

    /// How many parts of paths the kernel watches.
    fn watches(&self) -> usize {
        let notifier = self.world.transport.files.notifier.as_ref();
        notifier.map_or(0, Notifier::check)
    }

    fn next_look(&self) -> Option<Time> {
        self.world.transport.next_look()
    }

    /// What the event loop would find when it looks the next time, if it ever does.
    fn look(&mut self) -> Vec<Token> {
        let mut lost = self.world.look_for_files(self.now);
        if let Some(at) = self.next_look() {
            assert!(at.since(self.now) <= LOOK_INTERVAL);
            self.now = at;
            lost.extend(self.world.look_for_files(self.now));
        }
        lost
    }

    fn assert_unharmed(&mut self) {
        assert_eq!(self.look(), []);
        assert_eq!(self.next_look().is_none(), IS_TOLD);
    }

    fn assert_lost_once(&mut self) {
        assert_eq!(self.look(), [self.token]);
        assert_eq!(self.look(), [], "one loss is reported once");
        let in_time = self.now.after(LOOK_INTERVAL);
        assert_eq!(self.next_look(), Some(in_time), "it may come back");
    }

    /// Takes the file away by `lose`.
    fn loses_it(lose: impl FnOnce(&Scene)) {
        let mut scene = Scene::new();
        lose(&scene);
        scene.assert_lost_once();
    }
}

fn target(folder: &TempDir, path: &str) -> Target {
    Target::Uds(UdsName::File(folder.path().join(path)))
}

fn rename(scene: &Scene, from: &str, to: &str) {
    fs::rename(scene.at(from), scene.at(to)).unwrap();
}

#[test]
fn a_file_is_lost_when_it_is_removed_or_moved() {
    Scene::loses_it(|scene| fs::remove_file(scene.path()).unwrap());
    Scene::loses_it(|scene| rename(scene, "a/b/s", "a/b/t"));
    Scene::loses_it(|scene| {
        fs::hard_link(scene.path(), scene.at("t")).unwrap();
        fs::remove_file(scene.path()).unwrap();
    });
}

#[test]
fn a_file_is_lost_when_it_is_replaced() {
    Scene::loses_it(|scene| {
        fs::write(scene.at("t"), "").unwrap();
        rename(scene, "t", "a/b/s");
    });
    Scene::loses_it(|scene| {
        fs::remove_file(scene.path()).unwrap();
        drop(UnixListener::bind(scene.path()).unwrap());
    });
    Scene::loses_it(|scene| {
        drop(UnixListener::bind(scene.at("t")).unwrap());
        rename(scene, "t", "a/b/s");
    });
}

#[test]
fn a_file_is_lost_with_any_folder_above_it() {
    Scene::loses_it(|scene| fs::remove_dir_all(scene.at("a/b")).unwrap());
    Scene::loses_it(|scene| fs::remove_dir_all(scene.folder.path()).unwrap());
    Scene::loses_it(|scene| rename(scene, "a/b", "c"));
    Scene::loses_it(|scene| rename(scene, "a", "c"));
    Scene::loses_it(|scene| {
        rename(scene, "a", "c");
        fs::create_dir_all(scene.at("a/b")).unwrap();
        drop(UnixListener::bind(scene.path()).unwrap());
    });
}

#[test]
fn a_file_is_lost_with_any_link_that_leads_to_it() {
    for link in ["current", "release"] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("v1/run")).unwrap();
        fs::create_dir_all(folder.path().join("v2/run")).unwrap();
        symlink("v1", folder.path().join("release")).unwrap();
        symlink("release/../release", folder.path().join("current")).unwrap();
        let mut scene = Scene::listening(folder, "current/run/s");
        scene.assert_unharmed();

        symlink("v1", scene.at("new")).unwrap();
        rename(&scene, "new", link);
        scene.assert_unharmed();

        symlink("v2", scene.at("new")).unwrap();
        rename(&scene, "new", link);
        scene.assert_lost_once();
    }
}

#[test]
fn a_file_that_was_never_seen_is_lost_as_well() {
    let mut scene = Scene::unseen();
    fs::remove_file(scene.path()).unwrap();
    scene.assert_lost_once();
}

#[test]
fn a_file_that_has_come_back_can_be_lost_again() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        rename(&scene, "a", "c");
        scene.assert_lost_once();
        rename(&scene, "c", "a");
        scene.assert_unharmed();
    }
}

#[test]
fn what_leaves_the_file_in_its_place_is_no_loss() {
    let mut scene = Scene::new();
    fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o666)).unwrap();
    scene.assert_unharmed();
    fs::hard_link(scene.path(), scene.at("t")).unwrap();
    scene.assert_unharmed();
    rename(&scene, "a", "c");
    rename(&scene, "c", "a");
    scene.assert_unharmed();
    fs::remove_file(scene.path()).unwrap();
    scene.assert_lost_once();
}

#[test]
fn what_others_do_beside_the_file_wakes_nobody() {
    let mut scene = Scene::new();
    scene.world.file_events = 0;
    fs::write(scene.at("a/b/t"), "x").unwrap();
    fs::set_permissions(scene.at("a/b/t"), PermissionsExt::from_mode(0o666)).unwrap();
    rename(&scene, "a/b/t", "a/t");
    fs::remove_file(scene.at("a/t")).unwrap();
    fs::create_dir(scene.at("a/c")).unwrap();
    fs::remove_dir(scene.at("a/c")).unwrap();
    UnixStream::connect(scene.path()).unwrap();
    scene.assert_unharmed();
    assert_eq!(scene.world.file_events, 0);
}

#[test]
fn a_listener_that_goes_takes_its_watch_along_and_reports_nothing() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        drop(scene.listener.take());
        assert!(!scene.path().exists());
        assert_eq!(scene.look(), []);
        assert_eq!(scene.next_look(), None, "there is nothing to look for");
        assert_eq!(scene.watches(), 0);
        scene.listen_again();
        scene.assert_unharmed();
    }
    fs::remove_file(scene.path()).unwrap();
    scene.assert_lost_once();
    drop(scene.listener.take());
    assert_eq!(scene.look(), []);
    assert_eq!(scene.next_look(), None);
}

#[test]
fn a_listener_may_take_the_place_of_a_lost_one() {
    let mut scene = Scene::new();
    fs::remove_file(scene.path()).unwrap();
    scene.assert_lost_once();
    let lost = scene.listener.take();
    scene.listen_again();
    drop(lost);
    scene.assert_unharmed();
    fs::remove_file(scene.path()).unwrap();
    scene.assert_lost_once();
}

#[test]
fn listeners_share_what_leads_to_their_files() {
    let mut scene = Scene::new();
    let alone = scene.watches();
    let beside = target(&scene.folder, "a/b/t");
    let (beside, beside_token, _) = scene.world.listen(&beside);
    scene.assert_unharmed();
    assert_eq!(scene.watches(), alone + usize::from(IS_TOLD));

    rename(&scene, "a", "c");
    assert_eq!(scene.look(), [scene.token, beside_token]);
    rename(&scene, "c", "a");
    scene.assert_unharmed();
    drop(beside);
    scene.assert_unharmed();
    assert_eq!(scene.watches(), alone);
    fs::remove_file(scene.path()).unwrap();
    scene.assert_lost_once();
}

/// Where a kernel tells of files it can also have too much to tell.
#[cfg(target_os = "linux")]
#[test]
fn a_loss_among_too_many_events_is_noticed() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: u32 = limit.trim().parse().unwrap();
    if limit > 1_000_000 {
        eprintln!("skipped: this machine keeps {limit} events");
        return;
    }
    let mut scene = Scene::new();
    let (_noisy, _, _) = scene.world.listen(&target(&scene.folder, "noisy"));
    let (_louder, _, _) = scene.world.listen(&target(&scene.folder, "louder"));
    scene.assert_unharmed();
    let mode: fs::Permissions = PermissionsExt::from_mode(0o600);
    // Two by turns, for the kernel makes one of two equal events in a row.
    for _ in 0..=limit / 2 {
        fs::set_permissions(scene.at("noisy"), mode.clone()).unwrap();
        fs::set_permissions(scene.at("louder"), mode.clone()).unwrap();
    }
    fs::remove_file(scene.path()).unwrap();
    scene.assert_lost_once();
}

#[test]
fn without_a_notifier_files_are_looked_at_until_there_is_one() {
    let name = "without_a_notifier_files_are_looked_at_until_there_is_one";
    in_own_process(module_path!(), name, || {
        let mut scene = Scene::unseen();
        no_more_descriptors();
        assert_eq!(scene.look(), []);
        assert!(scene.world.transport.files.notifier.is_none());
        assert_eq!(scene.next_look(), Some(scene.now.after(LOOK_INTERVAL)));
        let early = scene.now.after(LOOK_INTERVAL / 2);

        fs::rename(scene.path(), scene.at("t")).unwrap();
        assert_eq!(scene.world.look_for_files(early), []);
        scene.assert_lost_once();
        fs::rename(scene.at("t"), scene.path()).unwrap();
        assert_eq!(scene.look(), []);
        assert!(scene.next_look().is_some());

        more_descriptors();
        scene.assert_unharmed();
        fs::remove_file(scene.path()).unwrap();
        scene.assert_lost_once();
    });
}

#[test]
fn without_a_file_there_is_nothing_to_look_at() {
    let mut world = World::new();
    let _tcp = world.listen(&any_port());
    assert_eq!(world.transport.next_look(), None);
    #[cfg(target_os = "linux")]
    {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().as_os_str().as_encoded_bytes().to_vec();
        let _abstract = world.listen(&Target::Uds(UdsName::Abstract(name)));
        assert_eq!(world.transport.next_look(), None);
    }
    assert!(world.transport.files.notifier.is_none());
}
