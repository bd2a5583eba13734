//! Open connections by listener, by IP address and by user: who may still come in.
//!
//! Asked when a connection is accepted, told when one ends. Counts nothing that has no limit.

use std::collections::HashMap;

use tofu_addr::Endpoint;

use crate::core::transport::{PeerInfo, Token};
use crate::options::Options;

/// What an admitted connection is counted under.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    listener: Token,
    ip: Option<String>,
    uid: Option<u32>,
}

/// The counts.
///
/// Invariant: no count is 0.
#[derive(Debug, Default)]
pub(crate) struct Census {
    listeners: HashMap<Token, usize>,
    ips: HashMap<String, usize>,
    uids: HashMap<u32, usize>,
}

impl Census {
    /// Whether any limit asks who a connection comes from.
    pub(crate) fn asks_for_peer(options: &Options) -> bool {
        options.connections_per_ip != usize::MAX
            || options.connections_per_uid != usize::MAX
            || options.uds_allowed_uids.is_some()
    }

    /// Counts a connection, or says which limit refuses it.
    pub(crate) fn admit(
        &mut self,
        listener: Token,
        peer: Option<&PeerInfo>,
        options: &Options,
    ) -> Result<Admission, &'static str> {
        let uid = peer
            .and_then(|peer| peer.credentials)
            .map(|credentials| credentials.uid);
        let ip = peer.and_then(|peer| match &peer.endpoint {
            Endpoint::Tcp { host, .. } => Some(host.clone()),
            Endpoint::Uds(_) => None,
        });
        if let (Some(allowed), Some(peer)) = (&options.uds_allowed_uids, peer) {
            let local = matches!(peer.endpoint, Endpoint::Uds(_));
            if local && !uid.is_some_and(|uid| allowed.contains(&uid)) {
                return Err("the peer's user id is not allowed");
            }
        }
        if is_full(&self.listeners, &listener, options.connections_per_listener) {
            return Err("the listener has as many connections as it may");
        }
        if ip
            .as_ref()
            .is_some_and(|ip| is_full(&self.ips, ip, options.connections_per_ip))
        {
            return Err("the peer's address has as many connections as it may");
        }
        if uid.is_some_and(|uid| is_full(&self.uids, &uid, options.connections_per_uid)) {
            return Err("the peer's user has as many connections as it may");
        }
        *self.listeners.entry(listener).or_default() += 1;
        if let Some(ip) = &ip {
            *self.ips.entry(ip.clone()).or_default() += 1;
        }
        if let Some(uid) = uid {
            *self.uids.entry(uid).or_default() += 1;
        }
        Ok(Admission { listener, ip, uid })
    }

    /// A counted connection has ended.
    pub(crate) fn leave(&mut self, admission: &Admission) {
        lower(&mut self.listeners, &admission.listener);
        if let Some(ip) = &admission.ip {
            lower(&mut self.ips, ip);
        }
        if let Some(uid) = &admission.uid {
            lower(&mut self.uids, uid);
        }
    }
}

fn is_full<K: std::hash::Hash + Eq>(counts: &HashMap<K, usize>, key: &K, limit: usize) -> bool {
    counts.get(key).is_some_and(|&count| count >= limit)
}

fn lower<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::transport::Credentials;
    use tofu_addr::UdsName;

    fn from_ip(host: &str) -> PeerInfo {
        PeerInfo::new(
            Endpoint::Tcp {
                host: host.into(),
                port: 1,
            },
            None,
        )
    }

    fn from_uid(uid: u32) -> PeerInfo {
        let name = UdsName::File("/tmp/socket".into());
        PeerInfo::new(Endpoint::Uds(name), Some(Credentials::new(uid, 0, None)))
    }

    fn listener(slot: u32) -> Token {
        Token {
            slot,
            generation: 0,
        }
    }

    #[test]
    fn each_limit_refuses_the_one_too_many_and_forgets_who_left() {
        let options = Options::default()
            .connections_per_listener(2)
            .connections_per_ip(1)
            .connections_per_uid(1);
        let mut census = Census::default();
        let (one, two) = (from_ip("1.1.1.1"), from_ip("2.2.2.2"));
        let first = census.admit(listener(0), Some(&one), &options).unwrap();
        let ip = census.admit(listener(1), Some(&one), &options).unwrap_err();
        assert!(ip.contains("address"), "{ip}");
        census.admit(listener(0), Some(&two), &options).unwrap();
        let full = census
            .admit(listener(0), Some(&from_uid(7)), &options)
            .unwrap_err();
        assert!(full.contains("listener"), "{full}");
        census
            .admit(listener(1), Some(&from_uid(7)), &options)
            .unwrap();
        let uid = census
            .admit(listener(1), Some(&from_uid(7)), &options)
            .unwrap_err();
        assert!(uid.contains("user"), "{uid}");
        census.leave(&first);
        census.admit(listener(0), Some(&one), &options).unwrap();
    }

    #[test]
    fn only_allowed_users_come_in_and_tcp_is_not_asked() {
        let options = Options::default().uds_allowed_uids(Some(vec![7]));
        let mut census = Census::default();
        assert!(Census::asks_for_peer(&options));
        census
            .admit(listener(0), Some(&from_uid(7)), &options)
            .unwrap();
        assert!(
            census
                .admit(listener(0), Some(&from_uid(8)), &options)
                .is_err()
        );
        census
            .admit(listener(0), Some(&from_ip("1.1.1.1")), &options)
            .unwrap();
    }
}
