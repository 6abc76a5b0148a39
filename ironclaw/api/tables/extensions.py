"""The routes of extensions."""

from ironclaw.api.route import Route, route
from ironclaw.extensions.names import RESERVED

# The words that stand where a name would: no extension is called so, and other methods on them are not allowed.
_NAME = f"/api/extensions/{{name:(?!(?:{'|'.join(sorted(RESERVED))})$)[^/]+}}"

ROWS: tuple[Route, ...] = (
    route(
        "extensions",
        "GET",
        "/api/extensions/list",
        "extensions.list_installed",
        "The installed extensions and how each is.",
        reply="extension_items.ExtensionList",
    ),
    route(
        "extensions",
        "POST",
        "/api/extensions/install",
        "extensions.install",
        "Install from a registry, or what was pasted as mcpServers JSON: that stays disabled until it is confirmed.",
        body="extensions.InstallExtension",
        query="extensions.WaitQuery",
        reply="extension_items.ExtensionItem",
    ),
    route(
        "extensions",
        "POST",
        "/api/extensions/{name}/auth",
        "extensions.authenticate",
        "Check a token and keep it, encrypted, in place of the one before.",
        body="extensions.AuthenticateExtension",
        reply="extension_items.ExtensionItem",
    ),
    route(
        "extensions",
        "GET",
        "/api/extensions/registry",
        "extensions.registry",
        "What can be installed by name.",
        query="extensions.ExtensionSearch",
        reply="extension_items.AvailableExtensions",
    ),
    route(
        "extensions",
        "GET",
        "/api/extensions/{name}",
        "extensions.show",
        "All about one: tools, secrets, settings, its command, the last error.",
        reply="extension_items.ExtensionDetails",
        pattern=_NAME,
    ),
    route(
        "extensions",
        "POST",
        "/api/extensions/{name}/enable",
        "extensions.enable",
        "Let the agent use it; one that brings its own command needs the hash of that.",
        body="extensions.EnableExtension",
        query="extensions.WaitQuery",
        reply="extension_items.ExtensionItem",
    ),
    route(
        "extensions",
        "POST",
        "/api/extensions/{name}/disable",
        "extensions.disable",
        "Take its tools from the agent and stop it.",
        reply="extension_items.ExtensionItem",
    ),
    route(
        "extensions",
        "PUT",
        "/api/extensions/{name}/config",
        "extensions.configure",
        "Change settings without secret; a new address forgets the token of the old one.",
        body="extensions.ConfigureExtension",
        reply="extension_items.ExtensionDetails",
    ),
    route(
        "extensions",
        "POST",
        "/api/extensions/{name}/test",
        "extensions.test",
        "Start it, list its tools, stop it.",
        reply="extensions.ExtensionTest",
    ),
    route(
        "extensions",
        "DELETE",
        "/api/extensions/{name}",
        "extensions.remove",
        "Delete it with its environment, data, settings and token.",
        reply="extensions.ExtensionRemoved",
        pattern=_NAME,
    ),
)
