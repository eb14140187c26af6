//! nginx, which serves files of a folder to curl.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Result, ensure};
use xtask::command;

use super::traced::wait_until;
use crate::check::Context;

/// A server: what it serves, where, and how.
pub struct Site<'a> {
    /// The folder of its files, of its log and of its configuration.
    pub folder: &'a Path,
    /// Where it listens.
    pub address: SocketAddr,
    /// Settings such as `sendfile on;`.
    pub options: &'a str,
    /// Whether it encrypts.
    pub tls: bool,
}

impl Site<'_> {
    /// Writes the configuration, and the certificate if it encrypts.
    pub fn prepare(&self) -> Result<()> {
        if self.tls {
            certificate(self.folder)?;
        }
        Ok(std::fs::write(self.folder.join("nginx.conf"), self.configuration())?)
    }

    fn configuration(&self) -> String {
        let Self { address, options, tls, .. } = self;
        let place = self.folder.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {place}/{what};"))
            .join(" ");
        let (ssl, certificate) = match tls {
            true => {
                let pair = format!("ssl_certificate {place}/cert.pem;");
                ("ssl", format!("{pair} ssl_certificate_key {place}/key.pem;"))
            }
            false => ("", String::new()),
        };
        format!(
            "daemon off; worker_processes 1; user root; pid {place}/pid; error_log {place}/error.log;
             events {{ worker_connections 64; }}
             http {{ access_log {place}/access.log; {options} {temporary}
                     server {{ listen {address} {ssl}; root {place}; {certificate} }} }}\n"
        )
    }

    /// Adds nginx's own arguments to a command that ends with the path of [`program`].
    pub fn add_arguments(&self, context: &Context, command: &mut Command) {
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
        let libraries = libraries.map(|it| context.nginx.join(it).display().to_string());
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command.arg("-c").arg(self.folder.join("nginx.conf")).arg("-p").arg(self.folder);
    }

    /// Waits for the server, and has curl fetch these files and compare them.
    pub fn fetch(&self, names: &[&str], server: &mut Child) -> Result<()> {
        let Self { folder, address, tls, .. } = self;
        wait_until("nginx listens", server, || TcpStream::connect(address).is_ok())?;
        let scheme = if *tls { "https" } else { "http" };
        for name in names {
            let received = folder.join("received");
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--insecure", "--fail", "--output"]);
            command::run(curl.arg(&received).arg(format!("{scheme}://{address}/{name}")))?;
            let same = std::fs::read(&received)? == std::fs::read(folder.join(name))?;
            ensure!(same, "curl received another file");
        }
        Ok(())
    }
}

/// Where nginx is.
pub fn program(context: &Context) -> std::path::PathBuf {
    context.nginx.join("usr/sbin/nginx")
}

fn certificate(folder: &Path) -> Result<()> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]);
    openssl.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem"));
    command::run(&mut openssl).map(drop)
}
