"""Made photos: a TIFF of any tags, in either byte order, and an XMP packet, around nothing but a start of frame."""

import struct

from mlygeo.formats.exif import TABLE

TAG = {name: tag.number for name, tag in TABLE.items()}


def field(kind, *values):
    """A TIFF value: kind 2 text, 3 and 4 whole numbers, 5 and 10 fractions, 12 doubles."""
    return kind, values


def text(value):
    return field(2, value.encode() + b"\0")


def encode(order, kind, values):
    if kind in {1, 2, 7}:
        data = b"".join(value if isinstance(value, bytes) else bytes([value]) for value in values)
        return len(data), data
    letter = {3: "H", 4: "I", 5: "II", 9: "i", 10: "ii", 11: "f", 12: "d"}[kind]
    flat = [number for value in values for number in (value if isinstance(value, tuple) else (value,))]
    return len(values), struct.pack(order + letter * len(values), *flat)


def tiff(picture=(), exif_tags=(), gps=(), *, order="<"):
    """Return a TIFF of three directories."""
    directories = [dict(picture), dict(exif_tags), dict(gps)]
    sizes = [2 + 12 * (len(tags) + (2 if number == 0 else 0)) + 4 for number, tags in enumerate(directories)]
    offsets = [8, 8 + sizes[0], 8 + sizes[0] + sizes[1]]
    directories[0] |= {0x8769: field(4, offsets[1]), 0x8825: field(4, offsets[2])}
    at, heads, values = 8 + sum(sizes), b"", b""
    for tags in directories:
        heads += struct.pack(order + "H", len(tags))
        for tag, (kind, given_values) in sorted(tags.items()):
            count, data = encode(order, kind, given_values)
            if len(data) <= 4:
                place = data.ljust(4, b"\0")
            else:
                place = struct.pack(order + "I", at + len(values))
                values += data + b"\0" * (len(data) % 2)
            heads += struct.pack(order + "HHI", tag, kind, count) + place
        heads += b"\0\0\0\0"
    return {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8) + heads + values


def segment(marker, payload):
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


FRAME = segment(0xC0, struct.pack(">BHHB", 8, 480, 640, 1) + b"\x01\x11\x00")


def jpeg(*parts, xmp=None, frame=FRAME):
    segments = [segment(0xE1, b"Exif\0\0" + part) for part in parts]
    if xmp is not None:
        segments.append(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp))
    return b"\xff\xd8" + b"".join(segments) + frame + b"\xff\xda\x00\x02"


def packet(attributes="", elements=""):
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"'
        f' xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {attributes}>{elements}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def dms(lat, lon):
    """GPS tags of a position, to 1e-7 seconds."""

    def parts(degrees):
        units = round(abs(degrees) * 3600 * 10**7)
        minutes, seconds = divmod(units, 60 * 10**7)
        return field(5, (minutes // 60, 1), (minutes % 60, 1), (seconds, 10**7))

    return {
        TAG["GPSLatitudeRef"]: text("N" if lat >= 0 else "S"),
        TAG["GPSLatitude"]: parts(lat),
        TAG["GPSLongitudeRef"]: text("E" if lon >= 0 else "W"),
        TAG["GPSLongitude"]: parts(lon),
    }
