//! The command `copytrace`.
fn main() {}
