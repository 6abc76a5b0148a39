/** The words of opening the gateway on another device. */

export const PAIRING = Object.freeze({
  reached: ["Other devices can open this gateway at ", "."],
  alone: "Only the machine that this gateway runs on can reach it.",
  failed: (why) => `The address for other devices can’t be read. ${why}`,
  noCode: (why) => `There is no code. ${why}`,
  show: "Show code",
  hide: "Hide code",
  label: (address) => `QR code that opens ${address}`,
  signsIn: "Point your phone’s camera at the code. Whoever sees it can use this gateway, so it hides itself after two minutes.",
  addressOnly: "Point your phone’s camera at the code, and sign in there as you did here. It hides itself after two minutes.",
});
