//! What is measured with one number of servers.

use std::time::Duration;

use crate::cluster::Cluster;

/// What was measured with one number of servers: names, figures, and their decimals.
#[derive(Default)]
pub(super) struct Figures(pub(super) Vec<(String, Option<f64>, usize)>);

impl Figures {
    pub(super) fn add(&mut self, name: &str, figure: f64, decimals: usize) {
        self.add_if(name, Some(figure), decimals);
    }

    pub(super) fn add_if(&mut self, name: &str, figure: Option<f64>, decimals: usize) {
        self.0.push((name.to_owned(), figure, decimals));
    }
}

/// The processor time that the servers and their database had taken at a moment.
pub(super) struct Cpu<'a> {
    cluster: &'a Cluster<'a>,
    of_servers: Duration,
    of_database: Option<Duration>,
}

impl<'a> Cpu<'a> {
    pub(super) fn of(cluster: &'a Cluster<'a>) -> anyhow::Result<Self> {
        Ok(Self {
            cluster,
            of_servers: cluster.cpu()?,
            of_database: cluster.database.cpu()?,
        })
    }

    /// Adds what each of `count` has taken since then.
    pub(super) fn add_each(
        &self,
        figures: &mut Figures,
        what: &str,
        count: u64,
    ) -> anyhow::Result<()> {
        let taken = self.cluster.cpu()?.saturating_sub(self.of_servers);
        let each = taken.as_secs_f64() * 1e6 / count as f64;
        figures.add(&format!("CPU us of Heralds {what}"), each, 0);
        let each = self.cluster.database.cpu_each(self.of_database, count)?;
        figures.add_if(&format!("CPU us of the database {what}"), each, 0);
        Ok(())
    }
}
