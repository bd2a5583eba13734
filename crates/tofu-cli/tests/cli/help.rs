//! The examples in the help texts, as they are printed; completions and manual pages.

use std::path::Path;
use std::process::{Command, Stdio};

use tofu_testkit::TempUdsPath;

use crate::tool::{TOFU, finish, run, start};

const COMMANDS: [&str; 7] = [
    "listen",
    "send",
    "ping",
    "perf",
    "decode",
    "completions",
    "man",
];

/// The lines of the paragraph behind `Examples:`.
fn examples(help: &str) -> String {
    let (_, behind) = help.split_once("\nExamples:\n").expect("examples");
    let lines = behind.lines().take_while(|line| !line.is_empty());
    lines
        .map(|line| line.strip_prefix("  ").unwrap().to_owned() + "\n")
        .collect()
}

/// A folder of its own, removed with all that the examples leave in it.
struct Folder(TempUdsPath);

impl Folder {
    fn new() -> Folder {
        let path = TempUdsPath::new().unwrap();
        std::fs::create_dir(path.as_path()).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(self.0.as_path()).unwrap();
    }
}

/// Runs lines in a shell; what they left in the background has to end too, as the pipes tell.
fn shell(lines: &str, folder: &Path) -> crate::tool::Ended {
    let tools = Path::new(TOFU).parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-euc", lines])
        .current_dir(folder)
        .stdin(Stdio::null());
    command.env("PATH", format!("{tools}:{path}"));
    finish(start(command))
}

#[test]
fn every_example_works_as_printed() {
    for name in COMMANDS {
        for option in ["--help", "-h"] {
            let help = run(&[name, option]);
            let lines = examples(help.text());
            assert!(lines.contains(&format!("tofu {name}")), "{lines}");
            if option == "-h" {
                continue;
            }
            let folder = Folder::new();
            let ended = shell(&format!("{lines}wait\n"), folder.0.as_path());
            assert_eq!(ended.code, 0, "{lines}{}", ended.stderr);
            let complaints = ended
                .stderr
                .lines()
                .filter(|line| !line.starts_with("listening on"));
            assert_eq!(complaints.count(), 0, "{lines}{}", ended.stderr);
        }
    }
}

#[test]
fn the_examples_of_send_print_the_answers() {
    let folder = Folder::new();
    let help = run(&["send", "--help"]);
    let ended = shell(&examples(help.text()), folder.0.as_path());
    let stdout = String::from_utf8(ended.stdout).unwrap();
    assert!(
        stdout.starts_with("how much?{\"op\":\"Response\","),
        "{stdout}"
    );
    assert!(
        stdout.contains("\"body\":\"from a pipe\\n\"}\n0: Response channel 1"),
        "{stdout}"
    );
    assert!(stdout.ends_with("    hello\n"), "{stdout}");
}

#[test]
fn every_status_is_documented() {
    let help = run(&["--help"]);
    for status in ["0", "1", "2", "3", "4", "5", "6", "7", "130"] {
        let is_line = |line: &str| line.starts_with(&format!("  {status} "));
        assert!(help.text().lines().any(is_line), "{status}");
    }
    for name in COMMANDS {
        assert!(help.text().contains(&format!("\n  {name} ")), "{name}");
    }
    let version = run(&["--version"]);
    assert_eq!(
        version.text(),
        concat!("tofu ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn shells_take_the_completions() {
    for shell_name in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell_name]);
        for name in COMMANDS {
            assert!(script.text().contains(name), "{shell_name}: {name}");
        }
        // Those that are installed read it.
        if let Ok(child) = Command::new(shell_name)
            .arg("-n")
            .stdin(Stdio::piped())
            .spawn()
        {
            let mut child = child;
            let mut stdin = child.stdin.take().unwrap();
            std::io::Write::write_all(&mut stdin, &script.stdout).unwrap();
            drop(stdin);
            assert!(child.wait().unwrap().success(), "{shell_name}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let page = run(&["man"]);
    assert!(page.text().contains(".TH tofu 1"), "{}", page.text());
    for name in COMMANDS {
        let page = run(&["man", name]);
        assert!(
            page.text().contains(&format!(".TH tofu-{name} 1")),
            "{}",
            page.text()
        );
        assert!(page.text().contains("\nExamples:\n"), "{}", page.text());
    }
}

/// The commands of the crate's README.
#[test]
fn the_session_in_the_readme_works() {
    let readme = include_str!("../../README.md");
    let (_, behind) = readme.split_once("```console\n").unwrap();
    let (session, _) = behind.split_once("```").unwrap();
    let (mut lines, mut printed) = (String::new(), String::new());
    for line in session.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => lines += &format!("{command}\n"),
            None => printed += &format!("{line}\n"),
        }
    }
    let folder = Folder::new();
    let ended = shell(&format!("{lines}wait\n"), folder.0.as_path());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), printed);
}
