//! `brigade completions`: what a shell needs to know to complete our commands.

use std::process::ExitCode;

use clap_complete::Shell;

use super::say;

/// Print completions for a shell
#[derive(Clone, Debug, clap::Args)]
pub struct Completions {
    /// Which shell
    pub shell: Shell,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
Examples:
  brigade completions bash > ~/.local/share/bash-completion/completions/brigade
  brigade completions zsh > ~/.zfunc/_brigade
  brigade completions fish > ~/.config/fish/completions/brigade.fish";

impl Completions {
    /// Writes the script to stdout.
    pub fn run(&self) -> ExitCode {
        say::result(&self.text())
    }

    fn text(&self) -> String {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "brigade", &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_learns_the_commands_but_not_the_hidden_one() {
        for shell in Shell::value_variants() {
            let text = Completions { shell: *shell }.text();
            assert!(text.contains("status") && text.contains("fresh"), "{shell}");
        }
    }
}
