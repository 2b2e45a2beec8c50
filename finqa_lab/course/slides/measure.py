"""Slides looked at in a browser: does anything run over an edge, is any formula left unset, was a file asked for?"""

from pathlib import Path

from finqa_lab.course.browser import looking_at
from finqa_lab.course.slides.split import HEIGHT, WIDTH

_OVERFLOW = """(() => {
  const style = document.createElement('style');
  style.textContent = '.reveal .slides section { display: block !important; visibility: visible !important; }'
    + '.reveal .slides section[hidden] { display: block !important; }';
  document.head.append(style);
  const found = [];
  document.querySelectorAll('.reveal .slides section').forEach((slide, place) => {
    slide.hidden = false;
    slide.style.cssText = 'display: block; top: 0; transform: none';
    const edge = slide.getBoundingClientRect(), scale = edge.width / %d;
    let right = 0, bottom = 0;
    slide.querySelectorAll('h1, h2, .blocks, .blocks *').forEach(one => {
      if (one.closest('mjx-assistive-mml')) return;
      const box = one.getBoundingClientRect();
      if (!box.width || !box.height) return;
      right = Math.max(right, (box.right - edge.left) / scale);
      bottom = Math.max(bottom, (box.bottom - edge.top) / scale);
    });
    const title = slide.querySelector('h1, h2').textContent.trim();
    if (right > %d + 1 || bottom > %d + 1) found.push([place + 1, title, Math.round(right), Math.round(bottom)]);
    if (slide.querySelector('mjx-merror')) found.push([place + 1, title, 'formula', 'formula']);
    const left = /\\\\\\(|\\\\\\[|\\\\begin/.test(slide.querySelector('.blocks').innerText);
    if (left) found.push([place + 1, title, 'TeX', 'TeX']);
  });
  return found;
})()"""


def faults(folder: Path, decks: list[str]) -> list[str]:
    """One sentence per fault of the decks in a folder; [] when every slide is within its edges.

    Args:
        folder: as ``finqa-lab slides`` wrote it.
        decks: names of files, such as ``["decoder-attention.html"]``.

    Raises:
        CourseError: when no browser is installed.
    """
    found = []
    with looking_at(folder) as page:
        for name in decks:
            page.open(name, WIDTH, HEIGHT)
            found += [f"{name}: {text}" for text in page.complaints if "favicon" not in text]
            for number, title, right, bottom in page.evaluate(_OVERFLOW % (WIDTH, WIDTH - 20, HEIGHT - 20)):
                if isinstance(right, str):
                    found.append(f"{name}: slide {number} ({title}): {right} that is not set")
                else:
                    found.append(f"{name}: slide {number} ({title}) reaches {right} by {bottom} of {WIDTH} by {HEIGHT}")
    return found
