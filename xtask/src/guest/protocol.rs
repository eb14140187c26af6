//! The protocol between this machine and the guest, in frames over two virtio ports: one for control and
//! output, one for the command's input, so that a command that does not read its input can still be
//! interrupted.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use serde::{Deserialize, Serialize};

/// The guest's name of the port for control and output.
pub const CONTROL_PORT: &str = "/dev/vport0p1";
/// The guest's name of the port for input.
pub const INPUT_PORT: &str = "/dev/vport0p2";

/// The kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Guest: ready for the first command.
    Ready,
    /// To the guest: a [`Request`], as JSON.
    Start,
    /// To the guest: a signal's number.
    Signal,
    /// To the guest: the terminal's new size.
    Resize,
    /// To the guest: input; none left if empty.
    Input,
    /// Guest: the command wrote to stdout.
    Stdout,
    /// Guest: the command wrote to stderr.
    Stderr,
    /// Guest: the command's exit status, and that it is ready for another one.
    Exit,
    /// Guest: why the command could not be started. An exit status follows.
    Failed,
    /// Guest: the command wrote this file, whose pieces follow.
    File,
    /// Guest: a piece of it.
    Piece,
}

impl FrameKind {
    const ALL: [Self; 11] = [
        Self::Ready,
        Self::Start,
        Self::Signal,
        Self::Resize,
        Self::Input,
        Self::Stdout,
        Self::Stderr,
        Self::Exit,
        Self::Failed,
        Self::File,
        Self::Piece,
    ];
}

/// The command to run, with everything it would have had on this machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    command: Vec<Vec<u8>>,
    environment: Vec<(Vec<u8>, Vec<u8>)>,
    folder: Vec<u8>,
    /// The size of the terminal to run on, if it is to run on one.
    pub terminal: Option<Size>,
    /// Whether there is input. Frames of input do not name their command: one with input is a guest's
    /// last.
    pub input: bool,
    /// Whether what it writes into its folder is brought back.
    pub returns_files: bool,
}

impl Request {
    /// Describes a command in the current folder.
    pub fn new(
        command: &[OsString],
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        terminal: Option<Size>,
        input: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            command: command.iter().map(|word| word.as_bytes().to_vec()).collect(),
            environment: environment
                .into_iter()
                .map(|(name, value)| (name.into_vec(), value.into_vec()))
                .collect(),
            folder: std::env::current_dir()?.into_os_string().into_vec(),
            terminal,
            input,
            returns_files: false,
        })
    }

    /// The program and its arguments.
    pub fn command(&self) -> Vec<OsString> {
        self.command.iter().map(|word| OsString::from_vec(word.clone())).collect()
    }

    /// All environment variables.
    pub fn environment(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.environment.iter().map(|(name, value)| {
            (OsString::from_vec(name.clone()), OsString::from_vec(value.clone()))
        })
    }

    /// The current folder.
    pub fn folder(&self) -> OsString {
        OsString::from_vec(self.folder.clone())
    }
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// Writes one frame.
pub fn send(mut to: impl Write, kind: FrameKind, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let code = FrameKind::ALL.iter().position(|&each| each == kind).unwrap_or_default();
    let mut frame = Vec::with_capacity(5 + payload.len());
    frame.push(u8::try_from(code).map_err(io::Error::other)?);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(payload);
    to.write_all(&frame)?;
    to.flush()
}

/// Reads one frame; `None` at the end of the stream.
pub fn receive(mut from: impl Read) -> io::Result<Option<(FrameKind, Vec<u8>)>> {
    let mut head = [0; 5];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let kind = *FrameKind::ALL
        .get(usize::from(head[0]))
        .ok_or_else(|| io::Error::other(format!("unknown frame {}", head[0])))?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let mut payload = vec![0; length as usize];
    from.read_exact(&mut payload)?;
    Ok(Some((kind, payload)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_journey() {
        let mut stream = Vec::new();
        for kind in FrameKind::ALL {
            send(&mut stream, kind, b"\0payload\xff").unwrap();
        }
        let mut from = stream.as_slice();
        for kind in FrameKind::ALL {
            assert_eq!(receive(&mut from).unwrap(), Some((kind, b"\0payload\xff".to_vec())));
        }
        assert_eq!(receive(&mut from).unwrap(), None);
    }

    #[test]
    fn words_need_not_be_text() {
        let word = OsString::from_vec(vec![b'a', 0xff]);
        let request = Request::new(std::slice::from_ref(&word), [], None, false).unwrap();
        let json = serde_json::to_vec(&request).unwrap();
        let back: Request = serde_json::from_slice(&json).unwrap();
        assert_eq!(back.command(), [word]);
    }
}
