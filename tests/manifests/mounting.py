"""A pod's volumes as folders of this machine, filled like the kubelet fills them."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.manifests.builds import Object
from tests.manifests.objects import at

# Objects with text: kind and name → keys → text.
Held = Mapping[tuple[str, str], Mapping[str, str]]
NAMES = {"secret": ("Secret", "secretName"), "configMap": ("ConfigMap", "name")}


def mounted(spec: Object, container: Object, held: Held, root: Path) -> dict[str, Path]:
    """Folders below ``root`` by their mount paths in ``container``.

    Raises:
        KeyError: a Secret, a ConfigMap or a key is not in ``held``.
    """
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    group = at(spec, "securityContext.fsGroup")
    folders = {}
    for mount in container.get("volumeMounts", []):
        folder = root / mount["mountPath"].strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        _fill(folder, volumes[mount["name"]], held, group)
        folders[mount["mountPath"]] = folder
    return folders


def _fill(folder: Path, volume: Object, held: Held, group: int) -> None:
    for source, (kind, field) in NAMES.items():
        if source in volume:
            data = held[kind, volume[source][field]]
            items = volume[source].get("items") or [{"key": key, "path": key} for key in data]
            mode = volume[source].get("defaultMode", 0o644)
            return project(folder, {item["path"]: data[item["key"]] for item in items}, mode, group)
    # Scratch or a claim: writable for all users, including the image's.
    folder.chmod(0o777)
    return None


def project(folder: Path, files: Mapping[str, str], mode: int, group: int) -> None:
    """Writes the files as symbolic links through ``..data``, a link that is replaced atomically on a change."""
    number = sum(1 for _ in folder.glob("..2*"))
    version = folder / f"..2026_{number}"
    version.mkdir(mode=0o755)
    for name, text in files.items():
        (version / name).write_text(text)
        (version / name).chmod(mode)
        if os.geteuid() == 0:
            os.chown(version / name, -1, group)
        else:
            # Only root can give a file to a foreign group; the container's user is another one here.
            (version / name).chmod(mode | 0o004)
    link = folder / "..next"
    link.symlink_to(version.name)
    link.rename(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
