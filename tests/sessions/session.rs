/// A command of a session, and what it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its line in the document, from 1.
    pub(crate) line: usize,
    /// The command.
    pub(crate) command: String,
    /// The lines below it.
    pub(crate) output: Vec<String>,
}

/// The steps of all sessions in a Markdown document.
pub(crate) fn steps(text: &str) -> Vec<Step> {
    let (mut steps, mut inside): (Vec<Step>, _) = (Vec::new(), false);
    for (number, line) in (1..).zip(text.lines()) {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), Some(before)) if before.command.ends_with('\\') => {
                    panic!("{number}: {command}: the command before goes on")
                }
                (Some(command), _) => {
                    steps.push(Step { line: number, command: command.to_owned(), output: Vec::new() });
                }
                (None, Some(step)) if step.command.ends_with('\\') && step.output.is_empty() => {
                    step.command.pop();
                    step.command.push_str(line.trim_start());
                }
                (None, Some(step)) => step.output.push(line.to_owned()),
                (None, None) => panic!("{number}: output without a command"),
            },
        }
    }
    for step in &mut steps {
        while step.output.last().is_some_and(String::is_empty) {
            step.output.pop();
        }
    }
    steps
}

#[test]
fn sessions_are_read_from_blocks_marked_console() {
    let found = steps("$ no\n```sh\n$ no\n```\n```console\n$ a \\\n  b\none\n\n$ c\n```\ntext\n");
    let step = |line, command: &str, output: &[&str]| Step {
        line,
        command: command.to_owned(),
        output: output.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(found, [step(6, "a b", &["one"]), step(10, "c", &[])]);
}
