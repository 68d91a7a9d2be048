//! `--allow-writable`: root's word that those who can write to a pipeline may do what root may.

/// What root believes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Trust {
    /// As root: also use a pipeline file, programs and folders that others than root can write to
    #[arg(long)]
    pub allow_writable: bool,
}
