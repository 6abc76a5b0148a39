"""The route of opening the gateway on another device."""

from ironclaw.api.route import Route, route

ROWS: tuple[Route, ...] = (
    route(
        "pairing",
        "POST",
        "/api/pairing",
        "pairing.pair",
        "The address for other devices, and a QR code that signs in there.",
        body="pairing.AskPairing",
        reply="pairing.Pairing",
    ),
)
