//! Processes that are started for a part of one test, because it changes what all tests of a process
//! share: this very program again, with that one test and a word about its part.

use std::env;
use std::process::Command;

/// Set in a process that was started for a part of one test: which part, and an argument.
const ROLE: &str = "TOFU_LIMITS_ROLE";

/// The argument, if this process was started for this part.
pub(crate) fn child_of(role: &str) -> Option<String> {
    let given = env::var(ROLE).ok()?;
    given
        .strip_prefix(role)?
        .strip_prefix('=')
        .map(str::to_owned)
}

/// `command` with this program, this test and this part behind it.
pub(crate) fn with_role(
    mut command: Command,
    test: &str,
    (role, argument): (&str, &str),
) -> Command {
    command
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(ROLE, format!("{role}={argument}"));
    command
}

/// Runs a part of a test in a process and a network of their own, which `prepare` makes ready. Where
/// the system gives none, this is not tested.
pub(crate) fn run_alone(prepare: &str, test: &str, role: (&str, &str)) {
    let prepare = format!("ip link set lo up && {prepare}");
    let alone = |script: String| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--map-root-user", "sh", "-c"]);
        command.arg(script);
        command
    };
    let prepared = alone(prepare.clone()).output();
    if !prepared
        .as_ref()
        .is_ok_and(|output| output.status.success())
    {
        println!("not tested, for there is no network of one's own: {prepared:?}");
        return;
    }
    let script = format!("{prepare} && exec \"$0\" \"$@\"");
    run_child(alone(script), test, role);
}

/// Runs a part of a test in a process of its own, to a good end.
pub(crate) fn run_child(command: Command, test: &str, role: (&str, &str)) {
    let output = with_role(command, test, role).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let survived = output.status.success() && text.contains("1 passed");
    assert!(survived, "{}\n{text}\n{errors}", output.status);
}

/// Runs this program; the command takes the arguments behind it.
pub(crate) fn plainly() -> Command {
    Command::new("env")
}
