//! The soak finds what it is there to find: with a mistake planted in one process it fails and says
//! where, and without one it passes. (Messages come back in few of so short runs: that one that goes
//! unnoticed is found is tested beside the check.)

use std::io;
use std::process::Command;

/// Runs a short soak; whether it passed, and what it printed.
fn soak(further: &[&str]) -> io::Result<(bool, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_tofu-chaos"))
        .args(["soak", "--channels=40", "--rate=6000"])
        .args(further)
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{printed}{}", String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), printed))
}

#[test]
fn every_planted_mistake_is_found_and_nothing_else() {
    let (is_good, printed) = soak(&["--seconds=3"]).unwrap();
    assert!(is_good, "{printed}");
    for (plant, complaint) in [
        // Confirmed or answered, whichever of the streams are told of: where it is cut off is the same.
        ("lost", "; 19 delivered, "),
        ("doubled", "/20 was delivered behind"),
        ("altered", "the body is corrupt"),
    ] {
        let (is_good, printed) = soak(&["--seconds=3", "--plant", plant]).unwrap();
        assert!(!is_good, "{plant}");
        assert!(printed.contains(complaint), "{plant}");
    }
}
