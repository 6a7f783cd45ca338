//! Who asks a cluster: as was typed, or as was saved, or as is asked for now.

use std::path::{Path, PathBuf};

use fleet::lister::qumulo::{self, Secret, Tls};
use fleet::lister::{Refused, Why};

use super::{Failure, Run};
use crate::cli::manifest::{Cluster, Login};

impl Run<'_> {
    /// The login that a cluster is asked by.
    pub(super) fn login(&self, typed: &Cluster) -> Result<qumulo::Login, Failure> {
        let (user, is_named, home, config_home) = match &typed.login {
            Login::Token(token) => return Ok(qumulo::Login::Token(token.clone())),
            Login::Password(user, password) => {
                let (user, password) = (user.clone(), password.clone());
                return Ok(qumulo::Login::Password { user, password });
            }
            Login::Saved(file) => {
                let none = || Refused {
                    why: Why::Login,
                    sentence: format!("--credentials={}: there is no login in it", file.display()),
                };
                return Ok(self.saved(file)?.ok_or_else(none)?);
            }
            Login::Open { user, is_named, home, config_home } => {
                (user, *is_named, home.as_deref(), config_home.as_deref())
            }
        };
        if !is_named && let Some(home) = home {
            let paths = qumulo::saved_paths(&typed.host, typed.port, home, config_home);
            if let Some(login) = self.found(typed, &paths)? {
                return Ok(login);
            }
        }
        let asked = rpassword::prompt_password(format!("password of {user} on {}: ", typed.host));
        let password = asked.map_err(|error| Refused {
            why: Why::Login,
            sentence: format!(
                "the password of {user} cannot be asked for here ({error}): LANESYNC_QUMULO_PASSWORD, \
                 --password-file, --token-file or --credentials tell it"
            ),
        })?;
        Ok(qumulo::Login::Password { user: user.clone(), password: Secret::new(&password) })
    }

    /// The login that whoever runs this has saved. One that may be for another cluster is told to nobody who
    /// has not shown who it is.
    fn found(
        &self,
        typed: &Cluster,
        [of_this, of_any]: &[PathBuf; 2],
    ) -> Result<Option<qumulo::Login>, Refused> {
        if let Some(login) = self.saved(of_this)? {
            return Ok(Some(login));
        }
        if matches!(typed.tls, Tls::Verified { .. }) {
            return self.saved(of_any);
        }
        if qumulo::read_saved(of_any).is_ok_and(|saved| saved.is_some()) {
            let file = of_any.display();
            self.tell.warn(&format!(
                "\"{file}\" does not say for which cluster it is, and is not used where no certificate is \
                 checked; --credentials=FILE uses it all the same"
            ));
        }
        Ok(None)
    }

    fn saved(&self, file: &Path) -> Result<Option<qumulo::Login>, Refused> {
        let Some(saved) = qumulo::read_saved(file)? else { return Ok(None) };
        self.tell.warn(&format!("logs in by what is saved in \"{}\"", saved.path.display()));
        saved.notice.iter().for_each(|notice| self.tell.warn(notice));
        Ok(Some(qumulo::Login::Token(saved.token)))
    }
}
