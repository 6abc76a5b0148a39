/** Keeps the composer above an on-screen keyboard where the browser lays it over the page. */

export function followViewport() {
  const { visualViewport: seen, document } = window;
  if (!seen) return;
  const fit = () => {
    const covered = seen.scale === 1 && seen.height < window.innerHeight - 1;
    document.documentElement.style.setProperty("--page-height", covered ? `${Math.round(seen.height)}px` : "100dvh");
    if (covered) window.scrollTo(0, 0);
  };
  seen.addEventListener("resize", fit);
}
