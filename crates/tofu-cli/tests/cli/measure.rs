//! `tofu ping` and `tofu perf` against `tofu listen --echo`.

use serde_json::Value;

use crate::tool::{Listen, run};

#[test]
fn ping_prints_each_answer_and_the_figures() {
    let listen = Listen::uds(&["--echo"]);
    let address = &listen.address;
    let ended = run(&["ping", address, "-c", "3", "-i", "10ms", "--size", "1000"]);
    let lines: Vec<&str> = ended.text().lines().collect();
    assert_eq!(lines.len(), 8, "{lines:?}");
    assert_eq!(lines[0], format!("PING {address} with 1000 bytes of body"));
    for (line, sequence) in lines[1..4].iter().zip(1..) {
        let start = format!("1000 bytes from {address}: seq={sequence} time=");
        let time = line
            .strip_prefix(&start)
            .and_then(|line| line.strip_suffix(" ms"));
        assert!(time.unwrap().parse::<f64>().unwrap() > 0.0, "{line}");
    }
    assert_eq!(lines[5], format!("--- {address} ping statistics ---"));
    assert!(
        lines[6].starts_with("3 sent, 3 answered, 0% lost, time "),
        "{}",
        lines[6]
    );
    let figures = lines[7]
        .strip_prefix("round trip min/avg/max/mdev = ")
        .unwrap();
    let figures = figures.strip_suffix(" ms").unwrap().split('/');
    let figures: Vec<f64> = figures.map(|figure| figure.parse().unwrap()).collect();
    assert!(
        figures[0] <= figures[1] && figures[1] <= figures[2],
        "{figures:?}"
    );
}

#[test]
fn ping_can_be_quiet() {
    let listen = Listen::uds(&["--echo"]);
    let ended = run(&["ping", &listen.address, "-q", "-c2", "-i0"]);
    assert_eq!(ended.text().lines().count(), 5);
}

/// The peer greets and takes, but does not answer. (It has a second to greet.)
#[test]
fn ping_tells_of_missing_answers() {
    let listen = Listen::uds(&[]);
    let address = &listen.address;
    let ended = run(&["ping", address, "-c1", "--timeout=1s"]);
    let shown = String::from_utf8(ended.stdout.clone()).unwrap();
    let line = format!("\nno answer from {address}: seq=1 within 1s\n");
    assert!(shown.contains(&line), "{shown}");
    assert!(
        shown.contains("\n1 sent, 0 answered, 100% lost, "),
        "{shown}"
    );
    assert_eq!(
        ended.failed(4),
        format!("no answer to any request from {address} within 1s")
    );
}

#[test]
fn perf_tells_people() {
    let listen = Listen::echo();
    let ended = run(&[
        "perf",
        &listen.address,
        "--duration",
        "50ms",
        "--size",
        "10",
    ]);
    let text = ended.text();
    for part in [
        "requests with 10 bytes of body\n",
        "\nlatency, one request at a time: ",
        "  p99.9 ",
        " |####",
        "\nthroughput, 64 requests in flight: ",
        " requests/s, ",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn perf_tells_programs() {
    // More in flight than the send queue takes, so that it has to wait for room.
    let listen = Listen::echo();
    let options = ["--count=300", "--size=65535", "--window=200", "--json"];
    let ended = run(&[&["perf", &listen.address][..], &options].concat());
    let line: Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!(line["address"], listen.address.as_str());
    assert_eq!(line["size"], 65535);
    for (run, window) in [("latency", 1), ("throughput", 200)] {
        let figures = &line[run];
        assert_eq!(
            (&figures["requests"], &figures["window"]),
            (&300.into(), &window.into())
        );
        let times = ["min", "p50", "p90", "p99", "p999", "max"];
        let times = times.map(|name| figures[name].as_u64().unwrap());
        assert!(times[0] > 0 && times.is_sorted(), "{times:?}");
        assert!(figures["requests_per_second"].as_f64().unwrap() > 0.0);
    }
}
