//! Tables of whatever figures a scene has.

use std::fmt;

/// What one run found: for each figure its name, its digits and its value.
pub(crate) type Line = Vec<(&'static str, usize, f64)>;

/// What was found about all that are compared, each with the last one.
#[derive(Debug)]
pub(crate) struct Figures {
    /// What they are.
    what: &'static str,
    peers: Vec<(String, Vec<Line>)>,
}

impl Figures {
    pub(crate) fn new(what: &'static str, names: impl IntoIterator<Item = String>) -> Self {
        Self {
            what,
            peers: names.into_iter().map(|name| (name, Vec::new())).collect(),
        }
    }

    /// Adds what a round found about the one with this index.
    pub(crate) fn add(&mut self, index: usize, line: Line) {
        if let Some((_, lines)) = self.peers.get_mut(index) {
            lines.push(line);
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((base, peers)) = self.peers.split_last() else {
            return Ok(());
        };
        let Some(names) = base.1.first() else {
            return Ok(());
        };
        let heads: Vec<&str> = names.iter().map(|(name, ..)| *name).collect();
        writeln!(f, "| {} | {} |", self.what, heads.join(" | "))?;
        writeln!(f, "|---|{}", "--:|".repeat(heads.len()))?;
        for (name, lines) in &self.peers {
            write!(f, "| {name} |")?;
            for (column, (_, digits, _)) in names.iter().enumerate() {
                let mut values: Vec<f64> = values(lines, column).collect();
                values.sort_by(f64::total_cmp);
                let median = crate::compare::median(&values);
                write!(f, " {median:.digits$}")?;
                if let (Some(least), Some(most)) = (values.first(), values.last())
                    && least != most
                {
                    write!(f, " ({least:.digits$}–{most:.digits$})")?;
                }
                write!(f, " |")?;
            }
            writeln!(f)?;
        }
        for (name, lines) in peers {
            write!(f, "| **{name} ÷ {}** |", base.0)?;
            for column in 0..heads.len() {
                let pairs = values(lines, column).zip(values(&base.1, column));
                let mut ratios: Vec<f64> = pairs.map(|(one, other)| one / other).collect();
                ratios.sort_by(f64::total_cmp);
                match crate::compare::median(&ratios) {
                    ratio if ratio.is_finite() => write!(f, " {ratio:.2} |")?,
                    // Nothing compared with nothing.
                    _ => write!(f, " – |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn values(lines: &[Line], column: usize) -> impl Iterator<Item = f64> {
    let cells = lines.iter().filter_map(move |line| line.get(column));
    cells.map(|(_, _, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_stand_above_ratios_of_each_round() {
        let mut figures = Figures::new("client", ["a", "b"].map(str::to_owned));
        for (one, other) in [(1.0, 2.0), (3.0, 4.0), (8.0, 4.0)] {
            figures.add(0, vec![("x", 1, one), ("lost", 0, 0.0)]);
            figures.add(1, vec![("x", 1, other), ("lost", 0, 0.0)]);
        }
        assert_eq!(
            figures.to_string(),
            "| client | x | lost |\n\
             |---|--:|--:|\n\
             | a | 3.0 (1.0–8.0) | 0 |\n\
             | b | 4.0 (2.0–4.0) | 0 |\n\
             | **a ÷ b** | 0.75 | – |\n"
        );
    }
}
