//! Colours, progress bars and prompts: on a terminal only.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::tool::{LIMIT, Listen, in_background, run, run_with, tofu};

const FRAME: &[u8] = b"00070200000000000000000100000000";

/// Runs a command with a terminal for both outputs, and returns its status and what was shown.
fn on_terminal(mut command: Command, input: &[u8]) -> (i32, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(name)
        .unwrap();
    command
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal);
    command.stdin(Stdio::piped()).env("TERM", "xterm");
    let mut child = command.spawn().unwrap();
    drop(command); // the last of our own handles of the terminal
    child.stdin.take().unwrap().write_all(input).unwrap();
    let mut master = File::from(master);
    let shown = in_background(move || {
        let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
        // At the end Linux gives an error.
        while let Ok(len @ 1..) = master.read(&mut piece) {
            shown.extend_from_slice(&piece[..len]);
        }
        String::from_utf8(shown).unwrap()
    });
    let shown = shown.recv_timeout(LIMIT).unwrap();
    (child.wait().unwrap().code().unwrap(), shown)
}

#[test]
fn colours_are_for_terminals() {
    let (code, shown) = on_terminal(tofu(["decode"]), FRAME);
    assert_eq!(
        (code, shown.contains("\u{1b}[1mSignal\u{1b}[0m")),
        (0, true),
        "{shown:?}"
    );
    let (code, shown) = on_terminal(tofu(["decode", "--hex"]), b"0x");
    assert_eq!(
        (code, &*shown),
        (
            6,
            "\u{1b}[31mtofu:\u{1b}[0m stopped at character 1: 'x' is no hexadecimal digit\r\n"
        )
    );
    let (code, shown) = on_terminal(tofu(["--help"]), b"");
    assert_eq!((code, shown.contains('\u{1b}')), (0, true), "{shown:?}");
}

#[test]
fn colours_can_be_refused_and_demanded() {
    let mut command = tofu(["decode"]);
    command.env("NO_COLOR", "1");
    let (_, shown) = on_terminal(command, FRAME);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let (_, shown) = on_terminal(tofu(["decode", "--color", "never"]), FRAME);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let ended = run_with(&["decode", "--color", "always"], FRAME);
    assert!(ended.text().contains("\u{1b}[1mSignal\u{1b}[0m"));
    assert!(!run_with(&["decode"], FRAME).text().contains('\u{1b}'));
    assert!(!run(&["--help"]).text().contains('\u{1b}'));
}

#[test]
fn the_prompt_comes_on_a_line_of_its_own() {
    let listen = Listen::uds(&["--echo"]);
    let (code, shown) = on_terminal(tofu(["send", &listen.address, "--body", "hi"]), b"");
    assert_eq!((code, &*shown), (0, "hi\r\n"));
    assert_eq!(run(&["send", &listen.address, "--body", "hi"]).text(), "hi");
}

#[test]
fn the_progress_bar_is_for_terminals() {
    let listen = Listen::echo();
    let perf = ["perf", &listen.address, "--duration", "120ms"];
    let (code, shown) = on_terminal(tofu(perf), b"");
    assert_eq!(code, 0);
    assert!(shown.contains("latency    [="), "{shown:?}");
    assert!(run(&perf).text().starts_with(&listen.address));
}
