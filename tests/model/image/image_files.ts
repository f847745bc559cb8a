// Images that Pillow 9.4 wrote, and what it decoded from them.

import type { Image } from "../../../model/image/png.ts";

/** Bytes of base64, broken into lines. */
function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64.replaceAll(/\s/g, "")), (char) => char.charCodeAt(0));
}

/** The size of the images below, unless stated otherwise. */
export const [WIDTH, HEIGHT] = [19, 11];

/** An image computed by a formula: RGBA, each modulo 256. */
export function paint(
  width: number,
  height: number,
  pixel: (x: number, y: number) => number[],
): Uint8Array<ArrayBuffer> {
  const places = Array.from({ length: width * height }, (_, i) => i);
  return new Uint8Array(places.flatMap((i) => pixel(i % width, Math.floor(i / width))));
}

/** The image that Pillow encoded. */
export const PIXELS = paint(WIDTH, HEIGHT, (x, y) => [
  x * 13 + y * 7,
  Math.floor(x * x / 2) + 3 * y,
  x * y + 40,
  x * 11 + y * 17,
]);

/** A baseline JPEG, chroma at half the size. */
export const JPEG = bytes(`
  /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAUDBAQEAwUEBAQFBQUGBwwIBwcHBw8LCwkMEQ8SEhEPERETFhwXExQaFRERGC
  EYGh0dHx8fExciJCIeJBweHx7/2wBDAQUFBQcGBw4ICA4eFBEUHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4e
  Hh4eHh4eHh4eHh4eHh4eHh7/wAARCAALABMDASIAAhEBAxEB/8QAGAAAAgMAAAAAAAAAAAAAAAAAAAcEBgj/xAAmEAACAQ
  MDAgcBAAAAAAAAAAABAgMABREEBiITIQcSFBUxMkFR/8QAFwEAAwEAAAAAAAAAAAAAAAAAAgMGB//EACURAAIAAwYHAAAA
  AAAAAAAAAAECAAMEBRESIUFhBhYxQpGh0f/aAAwDAQACEQMRAD8Azftm2ZdeNO/w8s+Xj4UutqRp504inXtdRHZdXJHlHT
  TSMrKcEEKcEGmT6UVi4W1i7okWnpmmntBPgRYV3LDpx0NPbPURRkqsvXAD4/RhT2/nf4oqHa4Yvb4eA+tFHyJZuq+z9jAJ
  vH9vs5ZZ9wJ6YUy2zW/LeP/Z
`);

/** What Pillow decodes `JPEG` to: RGB. */
export const JPEG_PIXELS = bytes(`
  CwAlFAAlJAAnLwElNAknQA4pUhIsXhQtbRsxcyUyezM0iD4xnEUqsFAqw10ty2ko0HYe8pw58JIyDwAmFwEoJwEoMwUpOA
  soQxEsVhQvYxcxcR82eSg3fzc4jkE3o0gztlMzxmE10G4x4ogy34gn/qdGFQMpHgUsLgYrOQouPhAtShUvXRg1ahs4eCQ+
  gC0/iDtBl0ZCqk08vVc+y2dD1XQ96Y4/4I0x9KpLGwcqJAksMwktPw0wRRQxURk0Yxw6cB8/fihFiDBGkD5Kn0lKs1BKw1
  xL0GxS03pQ1otR6rRs1rtqIQonKQwrOQ0uQxAxSxY0WBs6ah9AdyFEhSpLjzJNmUBSp0pVu1BWyV1a0XBgzYFqyaGIoqiG
  WpRhJw0oMA8sPhEwShQ0URo5Xx4+ciJHfiRKjS1SljVWokJdsUthw1Jkz2Fq1HVzxoqCsammToB0KJV1MBAoNhIsRRQxTx
  g3WR4+ZyFFeyROhyZRlDJbnzlgrUVou05uzVZ01WV71XuFwJSVnLS0QpKJLKaPNhMpPRUtShgzVhs5Xx9BbiRJgSZRjihX
  nDVipj1otEdxw1B50lh/2GmK04KVt52oPHZ6L5yZJqqfPBUoRBktURw2XB8+ZiNGdSdOiytZly9goDZmr0N0ukh5ylKC3m
  CQ1meS2I+tqKGzL4iQHKapKrO5QxgrSxwwVx84YyRDbSdLfClTkS5dnTNkpDprtUZ5w0yC01aO6Geg3HCixISpbXSOKpGg
  Gq66MLjIShksUh8yXSM8ZyZGcyhPgixZlzFjojZqrEF1uUp/ylCJ1laR5mSk43qzxI+5WGeGMJatJbDFO7nS
`);

/** The same coefficients, progressive. */
export const JPEG_PROGRESSIVE = bytes(`
  /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAUDBAQEAwUEBAQFBQUGBwwIBwcHBw8LCwkMEQ8SEhEPERETFhwXExQaFRERGC
  EYGh0dHx8fExciJCIeJBweHx7/2wBDAQUFBQcGBw4ICA4eFBEUHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4e
  Hh4eHh4eHh4eHh4eHh4eHh7/wgARCAALABMDASIAAhEBAxEB/8QAGAAAAgMAAAAAAAAAAAAAAAAAAAYDBQf/xAAXAQADAQ
  AAAAAAAAAAAAAAAAABAgUG/9oADAMBAAIQAxAAAAHN3dddWu2JCHAf/8QAHBAAAgICAwAAAAAAAAAAAAAAAAEDBAIFExQh
  /9oACAEBAAEFAq0Zr4TsrEqoq+QxJcf/xAAdEQABAwUBAAAAAAAAAAAAAAABAAIDBAURUaHR/9oACAEDAQE/AYQI4y7Sdf
  68nIfweL//xAAcEQACAAcAAAAAAAAAAAAAAAAAAQIDBBETFVH/2gAIAQIBAT8BjlZlZmipuH//xAAcEAACAgIDAAAAAAAA
  AAAAAAAAAQIRAxASQVL/2gAIAQEABj8CEVHHyS7vUmvLEf/EABwQAQACAgMBAAAAAAAAAAAAAAEAITFBEVFxof/aAAgBAQ
  ABPyG8qXUh0qDb8hclQYYiCeTCdT//2gAMAwEAAgADAAAAEFQv/8QAGxEBAAEFAQAAAAAAAAAAAAAAAQARITFBYZH/2gAI
  AQMBAT8Qcui+Ee0IuMPL1W7P/8QAGBEAAwEBAAAAAAAAAAAAAAAAAAFRodH/2gAIAQIBAT8QVQLafT//xAAaEAEAAwEBAQ
  AAAAAAAAAAAAABABEhMUFR/9oACAEBAAE/ELZLpRNqaMK+lLPm8nLoFkfBSIqRnCY//9k=
`);

/** Its red channel, as a grey JPEG. */
export const JPEG_GREY = bytes(`
  /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAUDBAQEAwUEBAQFBQUGBwwIBwcHBw8LCwkMEQ8SEhEPERETFhwXExQaFRERGC
  EYGh0dHx8fExciJCIeJBweHx7/wAALCAALABMBAREA/8QAFgAAAwAAAAAAAAAAAAAAAAAABgcI/8QAJxAAAQMCAwgDAAAA
  AAAAAAAAAQIDBAUGAAcSCBEhIiMzQVEUFTL/2gAIAQEAAD8AUWWFv9rk9eMVPlhb/a5PXjAXdG1pSqJcU+jUSxPvIEF9Ud
  qoispbTJ0HSXEBLSxoKgdJCjqTuPDfuAjlgwz0umPGHzWXHYGTt4T4DzsWXGt+c8w+ysocaWmOspWlQ4pUCAQRxBGISpzD
  PwWumPzj/9k=
`);

/** What Pillow decodes `JPEG_GREY` to: one byte per pixel. */
export const JPEG_GREY_PIXELS = bytes(`
  AA0aJjVBTVtodoKOnam1xM3o5gcVIS08SFVjb32KlqWwvcvW4vENGyg0Q09baXaEkJyrt8PR2fH1FCIuOklVYnB8ipejsb
  3K2OT6/xwqN0NSXWp4hZOfq7rG0uDt6QQjMT1JWGRwf4uZprHAzNnn8xMKKTdEUF9qd4WRoKy4x9Pf7foAFjE/S1dmcn6M
  mae0v87a5/UECyA3RVJebXmFk6KvtcvT3Oj7CBUhPk1ZZXSAjJqkt77R0/f2Bw8cKEVTYGx7h5Ohq7zE2uHj/wAWIy8=
`);

/** CMYK, 8x8. */
export const JPEG_CMYK = bytes(`
  /9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAQCwwODAoQDg0OEhEQExgoGhgWFhgxIyUdKDozPTw5Mzg3QEhcTkBEV0U3OFBtUV
  dfYmdoZz5NcXlwZHhcZWdj/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAUBB//EACIQAAED
  AwMFAAAAAAAAAAAAAAEAAgUDEUEEBhMUISIkkf/aAA4EQwBNAFkASwAAPwCwQEbFV9a5oPDTLgDk4H2yC25R9pvbKKi4zq
  7eN7rQF//Z
`);

/** A lossy WebP. */
export const WEBP = bytes(`
  UklGRrYAAABXRUJQVlA4IKoAAACwBACdASoTAAsAPlEUkkcjkRCMADgFBLYATplCOBvQN4B7gAIsnzO7GlG+zrEAAP7/27
  jJ5YC/XZj3pNjb+768Zx5tVBInfncg4t1ju+zYjFOfPb5hxfSXXw1r/ybdGfs/or5Ge/73vUbn8//6X9HnVWXVyZa+c5gL
  joAWumoWyiku7IAFsmr7GqI0tG6Xh1z+Jif8x9+d/7/8f1jht+NwTP82X5bvPAAAAA==
`);

/** What Pillow decodes `WEBP` to: RGB. */
export const WEBP_PIXELS = bytes(`
  CgAgEgAiHgQlKgUmOAgmRwwnVxMqYRgqax8pdiYogzIrjTspnEotp1UstWMvv28qz4Mm3pQr6KE1DwAhFQIkIQUoLAgmPA
  koSw0pWxQuZRkuciIveiouhzYykT8yok40rVg1umc4xXI11IY145c67aRCFQIkGwYmKAkqMwsrQg0tUREwYRg1axw1eSY5
  gy85kDs/mUM8qlFCtVxBxGpJznVI3IhO6ppV9aZdGQQiIQcnLQwsOQ0uRxAwVhM1Zho6cB48fylCiTJElj5IoEVIsFRMu1
  5Qy2xV0Xhb2Y1n3aNy2bd8IgsnKg4qMg0sPQ8vTxM1XBc6bB1DdyFFgypIjzJKnD1SpEVRt1Raw19c1W9p14Byy5Z/s7CK
  U5JbKg4qLxErORIvRRQ1Vhg7ZRtCdSFLgCVPjC5SljZWo0JcrEldvlhmymJs3HN21oeEwaqeTnlfLKV1LhAqNBQtQBczTB
  o4Xh1DbR9JfSVThylXlDJcnTpeq0Zms01pxlxy0mZ45HaG0o+WoLCtN4x7GqOFNRQrPhgxSRw2VBs8ZR5GciJNgihYjCxc
  mTRhozxmsEhtuE9wzF151WiC33uUxpiqSHt+I5iRIbSiQhUrSRoxVB05Xh0+cCNLfCdUjC1flTFlojdrrEBvtk13wFN41F
  +A2G+L1YypsKe+NYuSIKuqJLm0SBcsURozWx07Yx5BdCVNgihYkC5kmTJpqDp0skJ6vU+AyFaB32WM33mewo6yWmyIKZKh
  Gq+4JrvEShkuUx02XSA+ZiBDdydQhCpbkjFmmzRurT59uEWDyE+K01aL42KS3Hqmv5rEUXKVKJauHrHGKbzR
`);

/** A lossy WebP with lossless alpha. */
export const WEBP_ALPHA = bytes(`
  UklGRuoAAABXRUJQVlA4WAoAAAAQAAAAEgAACgAAQUxQSBAAAAAFINK2GS+6f8/HEREBALDzVlA4ILQAAABwBQCdASoTAA
  sAPlEUkkcjkRCMADgFBLYATplCOBvQPxV3AFmAfgA4FUDUopwguI0tfjwAAP7+j9UTFSWaKfGwOseozkceTG3V/qvJ+jyy
  sjn9TUpGGZf6/5FsPl/OLMFsrRkNVu+//+JXx3UVSd6Plp39dgDQfEjm+Jk0x5i/96HhQKu4mn3CMGHX9sf8G/XWNHCD5I
  qf/nv+6+n/4voLwHHz/jiFfA/0X/cOf02b9MWAAAA=
`);

/** A lossless WebP with alpha. */
export const WEBP_LOSSLESS = bytes(`
  UklGRpgAAABXRUJQVlA4TIwAAAAvEoACEAmAIAb8D5uI6H9qoSBtA2bPv+IyHcMf/Q/sQcTAoJEkRX33zOBfLv8b6GXcto
  3kFOd+aZcg2xavpznjNpIUB2sZ6rXHYDZtG2VK2kvwQJmjZYw62kb7GGN0jrFG92bxLOBB/sPjPagMkP8OBOG6LdBgAUzw
  4RpE4b59gQ4boCzw4wokAB6PEQ==
`);

/** An animated WebP of two frames, 4x3. */
export const WEBP_ANIMATED = bytes(`
  UklGRqYAAABXRUJQVlA4WAoAAAACAAAAAwAAAgAAQU5JTQYAAAAAAAAAAABBTk1GQgAAAAAAAAAAAAMAAAIAAAAAAAJWUD
  ggKgAAAFABAJ0BKgQAAwAHQJYlmAAE/YAAzPx3y2//+EtOXln+C4hHkf52WmcYAEFOTUYwAAAAAAAAAAAAAwAAAgAAAAAA
  AFZQOCAYAAAANAEAnQEqBAADAAAAliWkAANwAP7vuQAA
`);

/** An animated PNG of two frames, 4x3. */
export const PNG_ANIMATED = bytes(`
  iVBORw0KGgoAAAANSUhEUgAAAAQAAAADCAIAAAA7ljmRAAAACGFjVEwAAAACAAAAAPONk3AAAAAaZmNUTAAAAAAAAAAEAA
  AAAwAAAAAAAAAAAAAD6AAAScCOawAAAC9JREFUeJxjVGHTthZmc9Blt7VjZ5HkZpfkFpfnljjNLc4kyc0uxS0uwq21gdsS
  AFjbBOD4NxQjAAAAGmZjVEwAAAABAAAABAAAAAMAAAAAAAAAAAAAA+gAANKzZL8AAAAQZmRBVAAAAAJ4nGNgIAoAAAAnAA
  GqcT6yAAAAAElFTkSuQmCC
`);

/** RGBA. */
export const PNG = bytes(`
  iVBORw0KGgoAAAANSUhEUgAAABMAAAALCAYAAACd1bY6AAAAdUlEQVR42p3MQQ6EIAyF4UrRKp2a6ZzC+5/QhY+EGAaRxZ
  e+dPFPRAcZkVqACAuskOADO3zhRxqFyYUmlQA8roiFC4+7xViFx1Vicdif2Pya8eyN2NLL836ISYvnbbgdsbXGa//O2JZ5
  sVV4Uyv2i1hy4aQtJ0EzFbPQI4xEAAAAAElFTkSuQmCC
`);

/** Its red channel. */
export const PNG_GREY = bytes(`
  iVBORw0KGgoAAAANSUhEUgAAABMAAAALCAAAAAC4vunmAAAAE0lEQVR42mNk4MUATOyYYCiKAQDRdQYyXXioPgAAAABJRU
  5ErkJggg==
`);

/** Pixel (x, y) is colour (x + y) % 4 of red, green at alpha 128, clear blue, and (9, 8, 7). */
export const PNG_PALETTE = bytes(`
  iVBORw0KGgoAAAANSUhEUgAAABMAAAALAgMAAADgu16pAAAADFBMVEX/AAAA/wAAAP8JCAei0mLAAAAABHRSTlP/gAD/oa
  GUZgAAABxJREFUeNpjkAYCCYYcEGDYCAQbGI4BwREGosUBJCMZ9SDPXa0AAAAASUVORK5CYII=
`);

/** An image to resize. */
export function resizable([width, height]: number[], transparent: boolean): Image {
  const rgba = paint(width, height, (x, y) => [
    x * 7 + y * 3,
    x * x + 5 * y * y,
    x * y * 3 + 40,
    transparent ? x * 31 + y * 57 : 255,
  ]);
  return { width, height, rgba };
}

/** A mask to resize. */
export function resizableMask([width, height]: number[]): Image {
  const rgba = paint(width, height, (x, y) => {
    const grey = (x * x + y * y * 3) % 11 < 5 ? 255 : x * 9;
    return [grey, grey, grey, 255];
  });
  return { width, height, rgba };
}

/** `resizable(from, transparent)` on white, scaled by Pillow's Lanczos to cover `to`, then its centre. */
export const RESIZED = [
  {
    from: [37, 21],
    to: [16, 9],
    transparent: false,
    rgb: bytes(`
      BwQpFwwuJx4zNzw4R188WJ89aMZCeCBOiHVgmMZjqD5ouaxryVlt2H9y61Z+7odnDiguHjNCLkxYPmxqTp99X8+mb3
      i5fz6vj7GCn3ekr2xzwJ5c0GCF3IyQ/3Oef4qXFaIzJZ5YNZl7RaipVYfVZmiYdmNqhq9Jln1aplOBtquKx3KN1Y96
      72yT2I1hFGRxHKI3LI1qPFapTHy9XHNgbYQsfYVvjX2xnYuSrZh2vWZ2zoN+2W5+/3uCnYeLAGB7I6k8M5R9Q1rTU3
      9hY5wrdGquhHq2lIdTpJRstHmZxG6U1GNx5XF2+H+ANYlrC2WPKps8OqSlSq2ZWk0qanGue5vDi25Mm5OTq3SUu3SA
      y3mI2IGT+n+EoXVrAHKBIIN0MXZBQX+6UY1qYVxvcYS0go1Lknayon+OsoZrwoSA0nZ83nV5/4CAVXqFBHSJJ4WBOE
      5OSFWtWGhJaKeweINViYWRmXWNqXOAuYWiyXJn14WE9H94z4h8DXKOGoGIK2+KP21gT3eGX4RYb0aSf2RrkJycoJ9l
      sHCkwG940J5z3mRn+5uEXXaLA3t0JWeGMYuD
    `),
  },
  {
    from: [37, 21],
    to: [10, 15],
    transparent: false,
    rgb: bytes(`
      UocvXKYwZuAwcDcyeh0yhGExjpMymNozojk0rEY1VpBfYK9mavlrdEZtfil6iG2Kkp6RnPOYpkefsFGlWr2OZPWWbo
      WxeCDUglnGjIiqltm6oHTNqjO6tIIlXrjMaHrzciC9fFmOhoxtkNUQmnEopBg3rnBQuMxkYjp/bDNMdpBCgK4bitpG
      lIZrnh6WqIKzssS0vKnLZ6URcbowe4tahauDjzmomVbVo7aarcC6ty88wVY3a1pYdX16fzOdiWXYk6K6ndFpp4onsW
      w3u4d6xYuob3eBeW+xg6TijbxRl0k2oZE8q3qJtZXLv03OyWKRc7K2fUbxh1tekZcum5FypXPEr5vPuV+Yw45JzXla
      d5nygcNni1Q8lY2Ln4bWqWl9s4ZNvVhOx4il0VzWfKBkhmQ8kF6RmrLjpKaMrmwnuI+EwmOzzKeT1m06gLkwimqLlJ
      zjnkKVqEY2spWhvKnMxpMw0ExF2oOxhEl2jnzZmHaTooU2rLuntmLZwEREynRt1Km73n6QiMy3ksqAnHAvpkSgsFbX
      uqhOxK6Azmip2FQg449ljGDiloY+oMp9qrLTtHlPvih3yHe40tIq3JiF5CGK
    `),
  },
  {
    from: [21, 37],
    to: [14, 9],
    transparent: true,
    rgb: bytes(`
      icqRYbOHcJ2zs7Tl19PgzcC4m6CdlsqquezZ5uf05erCztKmtIuqv8zMcrV1sO3H3+jvxur8l7h1eXNuiIKa6Nv45v
      /0xbifr46Urqy50pfe59Ha1OTVy+zZjc7Zb8i9hrBvvrG93PH6xdnin6dyq5eQycXS6+Hx592619Ksh4iJaFmXg3fe
      vsuy39fTx8jknZ/Bl69Yzs235tz46O/vzZWYwZejw7LWhL6IwM/T397uxuG9lsGbgc/VnLG1zqah6fn/yK7UsoFuwb
      yl2efl8drY6eHkwbnmjYyue2VRloOsysPs4dbMw8zSrMjBs8Fg2rPG68z468rA28qxiM6BcMO0leG3yu2w4Oj8x82w
      oYSFsXTR0rzu8PPh5O320+qVx2+c13LdkLWCzuLm4eT2wtS8l7nXkNKDp8+a8Or25c3Ix4XQwIBoyLeI5+Dd8cHO29
      rXv7jikY2Sgn2Rqa+v09Su4On8w9ysr+qhxqXg352s9OX/6tmr4uS+
    `),
  },
  {
    from: [5, 7],
    to: [18, 13],
    transparent: false,
    rgb: bytes(`
      AwkoBAkoBQkoBgkpCQorCwosDgsuDwwvEQ0wEw0xFQ4yFhAzGRI0GxQ2HhY3Hxg4IBk5IRo5BA0nBQ0oBg0pBw0qCg
      4rDA4tDw8vEBAwEhExFBEzFhI0FxQ1GhY3HBg5Hxo6IBw7IR08Ih49BRInBhIoBxIpCBIqCxMsDRMuEBQwERUyExYy
      FRY0Fxc1GBk3Gxs5HR07IB89ISE+IiI/IyNABRcnBhcoBxcpCBcqCxgsDRguEBkxERozExs0FRs2Fxw3GB45GyA7HS
      I9ICRAISZBIidCIyhDBh4nBx4oCB4pCR4qDB8tDh8vESAyEiE0FCI1FiI4GCM5GSU7HCc+HilAIStDIi1EIy5FJC9G
      ByYnCCYoCSYpCiYrDSctDycwEigzEyk2FSo3Fyo6GSs7Gi0+HS9BHzFDIjNGIzVIJDZJJTdKCC0nCS0oCi0pCy0rDi
      4uEC4xEy80FDA3FjE5GDE7GjI9GzRAHjZDIDhGIzpJJDxLJT1MJj5NCTUnCjUoCzUpDDUrDzYvETYyFDc1FTg4Fzk7
      GTk8Gzo/HDxCHz5FIUBJJEJMJUROJkVPJ0ZQCkAmC0AoDEApDUAsEEEvEkEzFUI2FkM6GEQ9GkQ+HEVBHUdFIElIIk
      tMJU1PJk9SJ1BTKFFUC0omDEooDUopDkosEUswE0szFkw3F007GU4+G05AHU9DHlFHIVNLI1VPJldSJ1lVKFpWKVtY
      C1QmDFQoDVQpDlQsEVUwE1U0FlY4F1c8GVhAG1hCHVlFHltJIV1NI19RJmFVJ2NYKGRZKWVbDF4mDV4oDl4pD14sEl
      8xFF81F2A5GGE+GmJBHGJDHmNGH2VLImdPJGlTJ2tYKG1bKW5cKm9eDWomDmooD2oqEGotE2sxFWs3GGw6GW0/G25C
      HW5FH29IIHFNI3NRJXVWKHdbKXleKnpfK3ti
    `),
  },
  {
    from: [9, 4],
    to: [11, 20],
    transparent: true,
    rgb: bytes(`
      sa23rKeypqKroZymm5egmJOclY+YkYuUjoiQi4aNioSKrqm0qKSvo5+pnpikmJSelY+ZkouVjYeRiYOMhoCIhH6Fqq
      WxpaCsoJumm5WhlZCbkYuWjYaRh4GMgnyGfXeBeXN8paCtoZupnZejmJGekoyYjYaSh4CMf3mGeXJ+cWt3a2RwoJqo
      nJakmJKglI2bjYeVh4COgHiHd3B/bmd1ZF1sWlNil5GhlI2ekYqajYWVhn+Pf3eId2+AbWZ3Y1xtV1BiS0RWioSWh4
      CThHyPf3eKeXGEcmt+a2N3Y1xwW1RnUUldRD1Rd3GGc2yCbmd9aWJ4ZF1zYFlvXVZsW1RqWVJnVE1iS0RZX1pyWVNs
      UUxlS0ZfSEJcSUNdTkhhVlBnX1luZV5yY11wR0RePTpVMy9MKyhFKydEMi5KQT1XV1Jpbml9gXuNioSUNzZRKihFHB
      s5ExIxFRMyIiE+OzlTXVpwgn+Qop6rtrK8NTZQJidDFxg2DQ8uEBEvISE+P0BZaWl9mJalwb/I3NrgRkhfODpTKStG
      HyI+ISM/MTNNUFJoe3yNq6u31tbc9PT2Zml7XF5yT1FnRklgRUhfUVRpam1/j5KfubvE4OLm+/39j5KfiYuagIKReX
      yMdHeIeHyMiYyao6exwsbN3+Pm8/f3uLrCt7nBsbO8ra+5pKaxoKSvpqq0tbnBx8zR2N7h5Onr3N3h3+Dk3d3i2tvg
      zc/Vw8bNv8TKw8fNyc/T0Nba1Nrd+Pn5/////////v7/7u/x3uHk09fbzdLWytDUyM/TxczQ//////////////////
      //8vX14ubo1drdy9HVwsrOusLH////////////////////////7PDx2+DizNPWv8fLtLzB
    `),
  },
];

/** `resizableMask(from)` scaled by Pillow's box filter to cover `to`, then its centre. */
export const MASKS = [
  {
    from: [37, 21],
    to: [16, 9],
    grey: bytes(`
      /2mZcuLdo73Y//bxgon/oINOdoGPia6xzODc8oFjiH4Fs/+klLa//9XC5/X/hymiRWcyn3Rxw5na0NT0gYtNnf9Pu2
      LY0ZjIyv/y8IJi/4D/QZlyxbqjvcX/7PGCT/9vRWcyn3Rxw5na0NT0gYtNnS+au6KSn8Dd18vh9dWIQaCCQZlykJaj
      vcXh4PGCT5Rv
    `),
  },
  {
    from: [21, 37],
    to: [14, 9],
    grey: bytes(`
      //8g/59I////fsP/p///ElmWbaSo/7q/qMy8tAUSki07/1Zjcf+MmdG0RYmQlp2kgrGUv8bM09pFiZCWnaSCsZS/xs
      zT2gUSki07/1Zjcf+MmdG0/xJZlm2kqP+6v6jMvLT//yD/n0j///9+w/+n//8SWZZtpKj/ur+ozLy0
    `),
  },
  {
    from: [5, 7],
    to: [18, 13],
    grey: bytes(`
      /////////xISEhL///8kJCQk/////////xISEhIbGxskJCQk/////////xISEhIbGxskJCQk/////////xISEhIbGx
      skJCQk/////////xISEhIbGxskJCQkAAAAAAkJCRISEhL///8kJCQkAAAAAAkJCRISEhL///8kJCQkAAAAAAkJCRIS
      EhL///8kJCQk/////wkJCRISEhL///8kJCQk/////wkJCRISEhL///8kJCQk/////wkJCRISEhL///8kJCQk/////w
      kJCRISEhL///8kJCQkAAAAAAkJCf////8bGxv/////
    `),
  },
];

/** What Pillow converts `JPEG_CMYK` to: RGB. */
export const JPEG_CMYK_PIXELS = bytes(`
  EgMpLAQnTw0nZCApcTQsw04ur3Mt55IsGwgqKggrUhIudSQyiDk4vlI90HdA85dBKA0sLg4wWBc3gypAnj5JtFhS7X1Z15xdMB
  EtPBE0Yxs/gy1LqUJXs1ti74BthqB1MRMuTRM4cB1HgjBVskRhyl5v3YJ+NaKINRcvWxc8fSFPjTNgv0dv52GAuoaTEqWgRRwx
  YxxBhSZZojluyU2A72eUhYusFqu8VyAyZyFFiSpfsj13ylGM5WukVpC+IK/R
`);

/** The same if its Adobe marker says that it is YCCK. */
export const JPEG_YCCK_PIXELS = bytes(`
  /4T//2n//0n//zz//zj/rwCVxBBnjgAA/33//2///03/9zP/3Cv1nwGTiQA/ZAAA/3P//3H//0//1jH/riPWixySSQAXWRkA/2
  7//2f/90v/xjr/jyPEdiqOKwIQiHxA/27//1n/30T/uUP/eCK3TR1xJSEev9uO/2z//0//xz7/n0H6WCClGA1PKlU6wP+r/1//
  9E3/sT//djjbNiSQABY8PJ1nlf+d/0//603/pEH/WjDEJC2IACw/UtuNbf+M
`);

/** The first frame of `WEBP_ANIMATED`: RGB. */
export const WEBP_ANIMATED_PIXELS = bytes(`
  ORQAWjUdiWRMq4ZuQx0MZT8ulW5etY9+UysndU1IpX14xp2Z
`);
