"""The active and standby classifiers, and which of them each one listens to."""

from emostream.shared.addresses import TCP, shifted
from emostream.shared.config import Config
from emostream.shared.errors import ConfigError

ANY_HOSTS = ("*", "0.0.0.0", "[::]")


def classifier_peers(config: Config, instance: int = 0) -> tuple[str, ...]:
    """Return the endpoints of this classifier's standbys, or of the classifiers it stands by for.

    A standby listens to `classifier.active`, or by default to all of `connect.emotion` except
    itself and other standbys. Raises ConfigError if there is none, or if it would listen to itself.
    """
    settings = config.classifier
    own = shifted(settings.bind, instance)
    for setting, given in (("active", settings.active), ("standbys", settings.standbys)):
        if own in given and (setting == "active") == settings.standby:
            raise ConfigError(
                f"classifier.{setting}: {own} is this classifier's own address; name the other "
                "classifier's address"
            )
    if not settings.standby:
        return settings.standbys
    others = {own, *settings.standbys}
    active = settings.active or tuple(each for each in config.connect.emotion if each not in others)
    match = TCP.fullmatch(own)
    if not active or (not settings.active and match and match["host"] in ANY_HOSTS):
        raise ConfigError(
            "classifier.active: a standby needs the address of the active classifier, "
            "for example classifier.active=['tcp://10.0.0.2:5553']"
        )
    return active
