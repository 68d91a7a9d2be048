//! `--set K=V`: values for the `${…}` of a pipeline file, the same for every command that reads one.

/// The values given on the command line, to be flattened into a command's arguments.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Sets {
    /// Put V in place of ${K}, which the file declares under vars; may be repeated, the last of a name counts
    #[arg(long = "set", value_name = "K=V", value_parser = pair)]
    pub pairs: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) => Err("there is no name before the =".to_owned()),
        None => Err("there is no =, write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        sets: Sets,
    }

    #[test]
    fn a_set_is_split_at_its_first_equals_sign() {
        let command = Command::try_parse_from(["x", "--set", "a=b=c", "--set=d="]).unwrap();
        let expected = [("a", "b=c"), ("d", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(command.sets.pairs, expected);
    }

    #[test]
    fn a_set_without_name_or_value_is_refused_with_words() {
        let refused = |text: &str| Command::try_parse_from(["x", "--set", text]).err().unwrap().to_string();
        assert!(refused("a").contains("there is no =, write NAME=VALUE"));
        assert!(refused("=a").contains("there is no name before the ="));
    }
}
