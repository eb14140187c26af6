//! Manual pages: the arguments from clap, and additional sections.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

/// Parts of a page besides the arguments.
struct Verb {
    name: &'static str,
    /// Command lines with explanations.
    examples: &'static [(&'static str, &'static str)],
    /// Exit statuses with meanings.
    statuses: &'static [(&'static str, &'static str)],
}

const USUAL: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "It could not be done; the reason is on standard error."),
    ("2", "The arguments make no sense, and nothing was done."),
];

const MEASURED: &[(&str, &str)] = &[
    ("0", "What was asked for was measured, or has a reason why not."),
    ("1", "It could not be measured; the reason is on standard error."),
    ("2", "The arguments make no sense, and nothing was done."),
    ("128 + n", "Signal n ended it."),
];

const TRACED: &[(&str, &str)] = &[
    ("0", "There was a report, and no rule of --expect is broken."),
    ("1", "There could be no report; the reason is on standard error."),
    ("2", "The arguments make no sense, and nothing was done."),
    ("3", "A rule of --expect is broken."),
];

const VERBS: &[Verb] = &[
    Verb {
        name: "demo",
        examples: &[
            ("copytrace demo", "Measure the textbook's three strategies."),
            (
                "copytrace demo -s all --format json -o all.json",
                "Measure every strategy, for a program to read.",
            ),
            (
                "copytrace demo --to 10.77.6.2:7000 --dir /srv",
                "Send from the disk of /srv to `workloads consume` on another machine.",
            ),
        ],
        statuses: &[
            (
                "0",
                "Each strategy was measured or has a reason why not, and no rule of --expect is broken.",
            ),
            ("1", "It could not be measured; the reason is on standard error."),
            ("2", "The arguments make no sense, and nothing was done."),
            ("3", "A rule of --expect is broken."),
            ("128 + n", "Signal n ended it."),
        ],
    },
    Verb {
        name: "explain",
        examples: &[
            (
                "copytrace explain read-write mmap-write sendfile",
                "Draw the textbook's three ways beside each other, or one below the other.",
            ),
            (
                "copytrace explain sendfile --nic-sg off -o sendfile.svg",
                "Draw what scatter-gather is for, as a picture for a slide.",
            ),
        ],
        statuses: MEASURED,
    },
    Verb {
        name: "brokers",
        examples: &[
            (
                "copytrace brokers --message-size 1KiB --message-size 1MiB",
                "Measure models of Kafka and RocketMQ with two sizes of message.",
            ),
            (
                "copytrace brokers --real --quick --kafka-home /opt/kafka",
                "Measure Kafka itself, too, with messages of 1 KiB.",
            ),
        ],
        statuses: MEASURED,
    },
    Verb {
        name: "run",
        examples: &[
            (
                "copytrace run -- nginx -c /srv/nginx.conf",
                "Trace a command and all that it starts.",
            ),
            (
                "copytrace run -o report.md -o data.json -- ./load-test.sh",
                "Write a document for people and one for programs.",
            ),
            (
                "copytrace run --expect 'nginx: file -> tcp: cpu <= 0.01' -- ./load-test.sh",
                "Fail with status 3 if nginx is not zero-copy.",
            ),
        ],
        statuses: &[
            ("n", "The command's own status, if that is not 0."),
            ("0", "The command succeeded, and no rule of --expect is broken."),
            ("1", "The command succeeded, and there could be no report."),
            ("2", "The arguments make no sense, and the command was not started."),
            ("3", "The command succeeded, and a rule of --expect is broken."),
            ("126, 127", "The command cannot be started, or there is none of that name."),
        ],
    },
    Verb {
        name: "attach",
        examples: &[
            ("copytrace attach --comm nginx --duration 10s", "Trace every nginx for ten seconds."),
            (
                "copytrace attach --container redis --stacks",
                "Trace a container, and say which functions copy.",
            ),
            (
                "copytrace attach --comm java --jvm-copies",
                "Trace every Java program, and count what its HotSpot copies in its memory, too.",
            ),
            (
                "copytrace attach --all --interval 1s --format jsonl -o -",
                "Write a line a second on the whole system.",
            ),
        ],
        statuses: TRACED,
    },
    Verb {
        name: "report",
        examples: &[(
            "copytrace report --top 0 --sort copied on.rec",
            "Show all rows of a recording, the most copied first.",
        )],
        statuses: TRACED,
    },
    Verb {
        name: "diff",
        examples: &[("copytrace diff off.rec on.rec", "Say what changed between two recordings.")],
        statuses: USUAL,
    },
    Verb {
        name: "doctor",
        examples: &[
            ("copytrace doctor", "Say what can be measured here, and what is missing."),
            (
                "copytrace doctor --record kernel.tar.gz",
                "Keep what a bug report needs of this kernel.",
            ),
        ],
        statuses: &[
            (
                "0",
                "Something can be measured here; with --function-probes: functions can be probed.",
            ),
            ("1", "It cannot; the reason is on standard error."),
            ("2", "The arguments make no sense, and nothing was done."),
        ],
    },
];

/// Files that the program uses, whatever the verb.
const FILES: &[(&str, &str)] = &[
    (
        "/var/cache/copytrace",
        "What was found of a kernel, for a quicker start. It may be deleted at any time.",
    ),
    (
        "/tmp/perf-PID.map",
        "Names of code that a program made, which --stacks reads if they are that program's or root's.",
    ),
];

/// Writes a page for the command and one for each verb.
pub fn write(mut command: Command, folder: &Path) -> io::Result<()> {
    command = command.disable_help_subcommand(true);
    command.build();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let known = VERBS.iter().find(|known| known.name == verb.get_name());
        write_page(verb.clone(), known, folder)?;
    }
    write_page(command, None, folder)
}

fn write_page(command: Command, verb: Option<&Verb>, folder: &Path) -> io::Result<()> {
    let page = Man::new(command);
    let mut file = File::create(folder.join(page.get_filename()))?;
    page.render(&mut file)?;
    let statuses = verb.map_or(USUAL, |verb| verb.statuses);
    let examples = verb.map_or(&[][..], |verb| verb.examples);
    let mut roff = Roff::new();
    for (heading, entries) in [("EXIT STATUS", statuses), ("FILES", FILES), ("EXAMPLES", examples)]
    {
        section(&mut roff, heading, entries);
    }
    file.write_all(roff.render().as_bytes())
}

fn section(roff: &mut Roff, heading: &str, entries: &[(&str, &str)]) {
    if entries.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for (term, text) in entries {
        roff.control("TP", []).text([bold(*term)]).text([roman(*text)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn each_page_has_every_section() {
        let folder = tempfile::tempdir().unwrap();
        write(Cli::command(), folder.path()).unwrap();
        for verb in VERBS {
            let name = format!("copytrace-{}.1", verb.name);
            let page = std::fs::read_to_string(folder.path().join(name)).unwrap();
            for heading in ["EXIT STATUS", "FILES", "EXAMPLES"] {
                assert!(
                    page.contains(&format!(".SH \"{heading}\""))
                        || page.contains(&format!(".SH {heading}")),
                    "{page}"
                );
            }
        }
    }

    #[test]
    fn examples_are_as_the_arguments_are_parsed() {
        for (line, _) in VERBS.iter().flat_map(|verb| verb.examples) {
            let words = line.replace("'nginx: file -> tcp: cpu <= 0.01'", "cpu<=0.01");
            Cli::try_parse_from(words.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
