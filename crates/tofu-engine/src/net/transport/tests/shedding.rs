//! Connections that are shed from the reserve when descriptors have run out, each test in a process
//! whose limit it may lower.

use super::*;
use crate::net::testing::{
    World, any_port, in_own_process, more_descriptors, no_more_descriptors, target_of,
};
use nix::errno::Errno;

const HERE: &str = module_path!();

/// A listener and its world.
struct Shedding {
    world: World,
    listener: (MioListener, Token, Endpoint),
}

impl Shedding {
    fn from(target: &Target) -> Shedding {
        let mut world = World::new();
        let listener = world.listen(target);
        Shedding { world, listener }
    }

    /// A connection that waits to be accepted.
    fn connect(&mut self) -> (MioStream, Token) {
        let token = self.world.token();
        let target = target_of(&self.listener.2);
        let stream = self.world.transport.connect(&target, token).unwrap();
        self.world.wait_writable(token);
        (stream, token)
    }

    fn accept_error(&mut self) -> Option<Errno> {
        let error = self.world.transport.accept(&mut self.listener.0).err()?;
        error.raw_os_error().map(Errno::from_raw)
    }

    fn shed(&mut self) -> bool {
        self.world.transport.shed(&mut self.listener.0)
    }

    fn has_reserve(&self) -> bool {
        self.world.transport.reserve.is_some()
    }
}

fn the_oldest_is_shed_first(target: &Target) {
    let mut shedding = Shedding::from(target);
    let mut clients = [shedding.connect(), shedding.connect()];
    no_more_descriptors();
    for (client, token) in &mut clients {
        assert_eq!(shedding.accept_error(), Some(Errno::EMFILE));
        assert!(shedding.shed());
        assert!(shedding.has_reserve());
        let rest = shedding.world.read_to_end(client, *token).unwrap();
        assert_eq!(rest, b"", "it was closed");
    }
    assert!(!shedding.shed(), "nobody waits any more");
    assert!(shedding.has_reserve());

    more_descriptors();
    shedding.connect();
    let token = shedding.world.token();
    shedding.world.accept(&mut shedding.listener, token);
}

#[test]
fn a_tcp_connection_is_shed_although_no_descriptor_is_free() {
    let name = "a_tcp_connection_is_shed_although_no_descriptor_is_free";
    in_own_process(HERE, name, || the_oldest_is_shed_first(&any_port()));
}

#[test]
fn a_uds_connection_is_shed_although_no_descriptor_is_free() {
    let name = "a_uds_connection_is_shed_although_no_descriptor_is_free";
    in_own_process(HERE, name, || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        the_oldest_is_shed_first(&Target::Uds(UdsName::File(path)));
    });
}

#[test]
fn a_reserve_that_was_taken_away_comes_back() {
    let name = "a_reserve_that_was_taken_away_comes_back";
    in_own_process(HERE, name, || {
        let mut shedding = Shedding::from(&any_port());
        let _waiting = shedding.connect();
        shedding.world.transport.reserve = None;
        no_more_descriptors();
        assert!(!shedding.shed());
        more_descriptors();
        assert!(shedding.shed(), "it has waited all the time");
        assert!(shedding.has_reserve());
    });
}
