//! TLS in the kernel (kTLS): it encrypts the bytes sent to the socket.

use std::{io, net::TcpStream};

use crate::{
    Error, Result,
    strategy::{contract::Job, socket_option},
    tls,
};

/// `linux/tls.h`
const TLS_TX: i32 = 1;
const TLS_1_2_VERSION: u16 = 0x303;
const TLS_CIPHER_AES_GCM_128: u16 = 51;

const ADVICE: &str =
    "load the module (`modprobe tls`, in a guest `--module tls`), or use a kernel with CONFIG_TLS";

/// `struct tls12_crypto_info_aes_gcm_128` in `linux/tls.h`.
#[repr(C)]
struct CryptoInfo {
    version: u16,
    cipher: u16,
    nonce: [u8; 8],
    key: [u8; 16],
    salt: [u8; 4],
    sequence: [u8; 8],
}

const _: () = assert!(size_of::<CryptoInfo>() == 40);

/// Makes the TLS handshake with a consumer that expects it, and gives the keys to the kernel.
pub fn begin(job: &Job<'_>) -> Result<()> {
    // First, so that nothing else happens on a kernel without TLS.
    socket_option::set(job.socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls").map_err(no_tls)?;
    let stream = job.socket.try_clone_to_owned().map(TcpStream::from);
    let keys = stream.and_then(|stream| tls::connect(&stream));
    let keys = keys.map_err(Error::os("make the TLS handshake with the consumer"))?;
    let info = CryptoInfo {
        version: TLS_1_2_VERSION,
        cipher: TLS_CIPHER_AES_GCM_128,
        nonce: keys.nonce,
        key: keys.key,
        salt: keys.salt,
        sequence: keys.sequence,
    };
    socket_option::set(job.socket, libc::SOL_TLS, TLS_TX, &info).map_err(no_tls)
}

fn no_tls(cause: io::Error) -> Error {
    let tried = "have the kernel encrypt by TLS with AES-128-GCM";
    match cause.raw_os_error() {
        // The module, or the algorithm, is missing.
        Some(libc::ENOENT) => {
            Error::Unsupported { reason: format!("cannot {tried}: {cause}: {ADVICE}") }
        }
        _ => Error::refused(tried, ADVICE)(cause),
    }
}
