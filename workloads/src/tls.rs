//! TLS between sender and consumer: a real handshake, for keys that the kernel can encrypt with.
//!
//! It is TLS 1.2, because there the kernel encrypts exactly the payload: 1.3 appends a byte of its own to
//! each record. The consumer makes a certificate for each connection, and sends it ahead in the clear:
//! there is no secret to protect, and no identity to verify.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{
    CipherSuite, ClientConfig, ClientConnection, ConnectionTrafficSecrets, RootCertStore,
    ServerConfig, ServerConnection, StreamOwned,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::NoServerSessionStorage,
    version::TLS12,
};

const NAME: &str = "copytrace";

/// Keys and counters after the handshake, in the kernel's format.
pub struct Keys {
    /// The key of AES-128.
    pub key: [u8; 16],
    /// The first bytes of every nonce.
    pub salt: [u8; 4],
    /// The rest of the nonce of the next record.
    pub nonce: [u8; 8],
    /// Number of the next record.
    pub sequence: [u8; 8],
}

/// The sender's handshake.
pub fn connect(mut stream: &TcpStream) -> io::Result<Keys> {
    let mut roots = RootCertStore::empty();
    roots.add(receive_certificate(stream)?).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS12])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() || connection.wants_write() {
        connection.complete_io(&mut stream)?;
    }
    let secrets = connection.dangerous_extract_secrets().map_err(io::Error::other)?;
    keys(secrets.tx).ok_or_else(|| io::Error::other("the handshake agreed on another cipher"))
}

/// The consumer's handshake: the sender's bytes are read from the result.
pub fn accept(stream: &TcpStream) -> io::Result<impl Read> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS12])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .map_err(io::Error::other)?;
    // Sessions are never resumed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    send_certificate(stream, &certificate)?;
    let connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream.try_clone()?);
    while tls.conn.is_handshaking() || tls.conn.wants_write() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

/// AES-128-GCM only: every kernel with TLS has it.
fn provider() -> CryptoProvider {
    let suite = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|offered| offered.suite() == suite);
    provider
}

fn send_certificate(mut stream: &TcpStream, certificate: &CertificateDer<'_>) -> io::Result<()> {
    let length = u16::try_from(certificate.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(certificate)
}

fn receive_certificate(mut stream: &TcpStream) -> io::Result<CertificateDer<'static>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut certificate = vec![0; u16::from_le_bytes(length).into()];
    stream.read_exact(&mut certificate)?;
    Ok(certificate.into())
}

fn keys((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Option<Keys> {
    let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { return None };
    let (salt, nonce) = iv.as_ref().split_first_chunk()?;
    // The handshake's last record had this nonce with a sequence number of 0; the kernel increments it
    // from the given value, and no nonce may be reused.
    let nonce = u64::from_be_bytes(nonce.try_into().ok()?).wrapping_add(sequence);
    Some(Keys {
        key: key.as_ref().try_into().ok()?,
        salt: *salt,
        nonce: nonce.to_be_bytes(),
        sequence: sequence.to_be_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn both_ends_agree_on_keys() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let consumer = thread::spawn(move || accept(&listener.accept().unwrap().0).map(drop));
        let keys = connect(&TcpStream::connect(addr).unwrap()).unwrap();
        consumer.join().unwrap().unwrap();
        assert_eq!(keys.sequence, 1_u64.to_be_bytes(), "the handshake sends one record");
        assert_ne!(keys.key, [0; 16]);
    }
}
