//! A command's arguments in a report: those that look like secrets are masked.

use std::ffi::OsString;

/// The replacement of a secret.
const MASK: &str = "***";

/// Words in the names of secret flags, variables and headers.
const SECRETS: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "cookie",
    "pgpass",
    "bearer",
];

/// Flags whose value is `name:password`, in curl and wget.
const USERS: [&str; 4] = ["-u", "--user", "-U", "--proxy-user"];

/// The command in one line; unchanged `with_arguments`.
pub fn described(command: &[OsString], with_arguments: bool) -> String {
    let words = command.iter().map(|word| word.to_string_lossy());
    if with_arguments {
        return words.collect::<Vec<_>>().join(" ");
    }
    let (mut described, mut before) = (Vec::new(), String::new());
    for word in words {
        described.push(masked(&before, &word));
        before = word.into_owned();
    }
    described.join(" ")
}

/// A word after `before`; it may be a script of several words.
fn masked(before: &str, word: &str) -> String {
    if is_flag(before) && !before.contains('=') && names_secret(before) && !is_flag(word) {
        return MASK.to_owned();
    }
    if USERS.contains(&before)
        && let Some((user, _)) = word.split_once(':')
    {
        return format!("{user}:{MASK}");
    }
    // A header is secret to its end: `Authorization: Basic dXNlcg==`.
    if let Some((name, _)) = word.split_once(": ")
        && !name.contains(char::is_whitespace)
        && names_secret(name)
    {
        return format!("{name}: {MASK}");
    }
    word.split_inclusive(char::is_whitespace).map(part).collect()
}

/// A part of a word without blanks, except at its end.
fn part(part: &str) -> String {
    let text = part.trim_end();
    let blanks = &part[text.len()..];
    let masked = match text.split_once('=') {
        Some((name, value)) if names_secret(name) && !value.is_empty() => format!("{name}={MASK}"),
        _ => without_password(text),
    };
    masked + blanks
}

/// A URL without its password: `scheme://user:password@host`.
fn without_password(text: &str) -> String {
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
        let (login, _) = authority.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:{MASK}{}", &rest[login.len()..]))
    };
    masked().unwrap_or_else(|| text.to_owned())
}

fn is_flag(word: &str) -> bool {
    word.starts_with('-')
}

fn names_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(|it| it.is_alphanumeric()).collect();
    let plain = plain.to_lowercase();
    SECRETS.iter().any(|secret| plain.contains(secret))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn described(words: &[&str]) -> String {
        super::described(&words.iter().map(OsString::from).collect::<Vec<_>>(), false)
    }

    #[test]
    fn secrets_are_masked() {
        let cases: [(&[&str], &str); 9] = [
            (&["psql", "--password=hunter2", "db"], "psql --password=*** db"),
            (&["tool", "--api-key", "hunter2", "-v"], "tool --api-key *** -v"),
            (&["tool", "--password", "--verbose"], "tool --password --verbose"),
            (&["env", "PGPASSWORD=hunter2", "psql"], "env PGPASSWORD=*** psql"),
            (&["sh", "-c", "TOKEN=hunter2 run it"], "sh -c TOKEN=*** run it"),
            (&["curl", "-u", "me:hunter2", "http://h/"], "curl -u me:*** http://h/"),
            (&["curl", "https://me:hunter2@h/a@b"], "curl https://me:***@h/a@b"),
            (&["curl", "-H", "Authorization: Basic hunter2 x"], "curl -H Authorization: ***"),
            (&["dd", "if=/dev/zero", "bs=64K"], "dd if=/dev/zero bs=64K"),
        ];
        for (words, expected) in cases {
            assert_eq!(described(words), expected);
        }
        let words = ["psql", "--password=hunter2"].map(OsString::from);
        assert_eq!(super::described(&words, true), "psql --password=hunter2");
    }

    proptest! {
        #[test]
        fn any_words_can_be_described(words in proptest::collection::vec(".{0,20}", 0..6)) {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            described(&words);
        }

        #[test]
        fn a_value_of_a_secret_is_never_told(value in "[a-z0-9]{8,20}") {
            let flag = format!("--db-password={value}");
            for words in [vec!["x", &flag], vec!["x", "--db-password", &value]] {
                let told = described(&words);
                prop_assert!(!told.contains(&value), "{}", told);
            }
        }
    }
}
