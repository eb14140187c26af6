//! The kernel inside a compressed image: QEMU boots the plain one about a second faster.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// Offsets in the header of the boot protocol.
const SETUP_SECTORS: usize = 0x1f1;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// The compression formats: their first bytes, and the program that decompresses them.
const FORMATS: [(&[u8], &str); 3] =
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"\x1f\x8b", "gzip")];

/// Takes the plain kernel out of an image.
pub fn extract(image: &[u8]) -> Result<Vec<u8>> {
    let payload =
        payload(image).context("the kernel image has no payload where the boot protocol says")?;
    let Some((_, program)) = FORMATS.iter().find(|(magic, _)| payload.starts_with(magic)) else {
        bail!("the kernel image is compressed in an unknown way ({:02x?})", &payload[..4]);
    };
    let kernel = decompress(program, payload)?;
    if !kernel.starts_with(b"\x7fELF") {
        bail!("what {program} found in the kernel image is no kernel");
    }
    Ok(kernel)
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let sectors = match *image.get(SETUP_SECTORS)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (sectors + 1) * 512 + word(PAYLOAD_OFFSET)?;
    // The last four bytes are the plain kernel's length, and no part of the compressed stream.
    let end = start + word(PAYLOAD_LENGTH)?.checked_sub(4)?;
    image.get(start..end)
}

fn decompress(program: &str, payload: &[u8]) -> Result<Vec<u8>> {
    let missing = || format!("cannot run {program}, which decompresses the kernel: install it");
    let mut child = Command::new(command::find(program).with_context(missing)?)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(missing)?;
    let mut input = child.stdin.take().context("no stdin")?;
    let payload = payload.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&payload));
    let output = child.wait_with_output()?;
    // A decompressor that stops early closes its input; its own status says why.
    let _ = writer.join();
    if !output.status.success() {
        bail!("{program} could not decompress the kernel ({})", output.status);
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_where_the_header_says() {
        let mut image = vec![0; 4096];
        image[SETUP_SECTORS] = 1;
        image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&16u32.to_le_bytes());
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&9u32.to_le_bytes());
        image[1040..1049].copy_from_slice(b"hello1234");
        assert_eq!(payload(&image), Some(b"hello".as_slice()));
    }

    #[test]
    fn a_short_file_is_refused() {
        assert!(extract(b"short").is_err());
    }
}
