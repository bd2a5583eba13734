//! Rows 19, 20 and 21: what lies where a listener wants to be, and what becomes of its socket file.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tofu::prelude::*;
use tofu_testkit::TempUdsPath;

use super::{Extent, progress};
use crate::kit::milliseconds;
use crate::kit::side::{BOTH, Side, connected_pair};
use crate::outcome::{Facts, Outcome};

/// What is done to a path, and its name.
type Case = (&'static str, fn(&Path) -> Result<()>);

/// When the owner of a lost path must know.
const TOLD_BY: Duration = Duration::from_secs(6);

/// Row 19: somebody listens there already.
pub(crate) fn in_use(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        let mut first = Side::start(Options::default())?;
        let listening = first.listen(transport)?;
        let mut second = Side::start(Options::default())?;
        let mut sibling = first.sibling()?;
        let address = Address::listen_on(listening.endpoint.clone());
        let rounds = extent.pick(50, 1000);
        for _ in 0..rounds {
            for side in [&mut second, &mut sibling] {
                refuse(side, &address, Status::ADDRESS_IN_USE)?;
            }
        }
        second.hello(&listening.endpoint)?;
        first.accept()?;
        facts.note(format!(
            "{transport}: address_in_use {} of {} times, the first lives on",
            rounds * 2,
            rounds * 2
        ));
    }
    Ok(facts.outcome())
}

/// Listening there fails for this reason.
fn refuse(side: &mut Side, address: &Address, why: Status) -> Result<()> {
    let (channel, answer) = side.welcome(address)?;
    ensure!(
        answer.status() == why && answer.origin() == Origin::Engine,
        "instead of {why}: {answer:?}"
    );
    side.closed(channel, crate::kit::LIMIT)?;
    Ok(())
}

/// Row 20: what may lie at the path of a socket file.
pub(crate) fn occupied(_: &Extent) -> Result<Outcome> {
    let cases: [Case; 4] = [
        ("stale", stale),
        ("live", live),
        ("regular file", regular_file),
        ("symlink", links),
    ];
    let mut facts = Facts::default();
    let mut good = 0;
    for (name, case) in cases {
        let path = TempUdsPath::new()?;
        match case(&path) {
            Ok(()) => good += 1,
            Err(error) => facts.check(false, format!("{name}: {error:#}")),
        }
    }
    facts.check(good == cases.len(), format!("{good}/{}", cases.len()));
    Ok(facts.outcome())
}

/// A socket whose process is dead is taken over.
fn stale(path: &Path) -> Result<()> {
    drop(UnixListener::bind(path)?);
    let mut side = Side::start(Options::default())?;
    let (_, endpoint) = side.listen_at(&Address::uds_server(path))?;
    side.hello(&endpoint)?;
    side.take_hello()?;
    Ok(())
}

/// A socket on which somebody listens is left to him.
fn live(path: &Path) -> Result<()> {
    let owner = UnixListener::bind(path)?;
    untouched(path, Status::ADDRESS_IN_USE)?;
    owner.set_nonblocking(true)?;
    // The engine may have knocked to hear whether somebody is there.
    while owner.accept().is_ok() {}
    let _guest = UnixStream::connect(path)?;
    owner
        .accept()
        .context("the owner gets no guests any more")?;
    Ok(())
}

fn regular_file(path: &Path) -> Result<()> {
    fs::write(path, "precious")?;
    untouched(path, Status::LISTEN_FAILED)?;
    ensure!(fs::read(path)? == b"precious", "the file was changed");
    Ok(())
}

/// A symlink is left alone, whatever it points to.
fn links(path: &Path) -> Result<()> {
    let target = path.with_extension("target");
    let makers: [fn(&PathBuf) -> Result<()>; 3] = [
        |_| Ok(()),
        |target| Ok(fs::write(target, "precious")?),
        |target| {
            fs::remove_file(target)?;
            drop(UnixListener::bind(target)?);
            Ok(())
        },
    ];
    for make_target in makers {
        make_target(&target)?;
        let before = fs::symlink_metadata(&target).map(|metadata| metadata.ino());
        symlink(&target, path)?;
        untouched(path, Status::LISTEN_FAILED)?;
        let after = fs::symlink_metadata(&target).map(|metadata| metadata.ino());
        ensure!(before.ok() == after.ok(), "the link's target was replaced");
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Listening fails, and what lies there is the same as before.
fn untouched(path: &Path, why: Status) -> Result<()> {
    let before = fs::symlink_metadata(path)?;
    let mut side = Side::start(Options::default())?;
    refuse(&mut side, &Address::uds_server(path), why)?;
    drop(side);
    let after = fs::symlink_metadata(path).context("it was deleted")?;
    ensure!(
        before.ino() == after.ino() && before.file_type() == after.file_type(),
        "it was replaced"
    );
    Ok(())
}

/// Row 21: the socket file of a listener goes away.
pub(crate) fn lost(_: &Extent) -> Result<Outcome> {
    let losses: [Case; 3] = [
        ("unlinked", |path| Ok(fs::remove_file(path)?)),
        ("replaced", |path| {
            let other = path.with_extension("other");
            fs::write(&other, "")?;
            Ok(fs::rename(other, path)?)
        }),
        ("folder removed", |path| {
            let folder = path.parent().context("a path without folder")?;
            Ok(fs::remove_dir_all(folder)?)
        }),
    ];
    let mut facts = Facts::default();
    for (name, lose) in losses {
        progress(name);
        match lose_path(lose) {
            Ok(took) => facts.check(
                took <= TOLD_BY,
                format!("{name}: told after {}", milliseconds(took)),
            ),
            Err(error) => facts.check(false, format!("{name}: {error:#}")),
        }
    }
    Ok(facts.outcome())
}

/// How long it takes until the owner is told, once; the connections that there are live on.
fn lose_path(lose: fn(&Path) -> Result<()>) -> Result<Duration> {
    let transport = crate::kit::side::Transport::Uds;
    let (here, channel, mut there, at_there, listening) =
        connected_pair(transport, Options::default())?;
    let path = listening.path.as_ref().context("a socket without file")?;
    let start = Instant::now();
    lose(path)?;
    let notice = there.next_within(TOLD_BY + Duration::from_secs(2))?;
    let took = start.elapsed();
    match Incoming::from(notice) {
        Incoming::Engine(Notice::UdsPathGone, notice)
            if notice.channel_number() == listening.channel => {}
        other => bail!("instead of the notice: {other:?}"),
    }
    let mut request = here.message(OpCode::Request, channel)?;
    request.body_mut().append(b"still there?")?;
    here.group.post(request)?;
    let request = there.next()?;
    ensure!(
        request.channel_number() == at_there && request.op_code() == OpCode::Request,
        "on the connection that lives on: {request:?}"
    );
    let further = there.group.wait_receive(Duration::from_secs(1))?;
    ensure!(further.is_none(), "told again: {further:?}");
    Ok(took)
}
