"""
Open files in QGIS, and write down what it finds in them; draw pictures of them.

    python3 qgis_reader.py TASKS.json ANSWERS.json

Runs in the Python that QGIS comes with (Debian's python3-qgis), without mlygeo. Files are opened as QGIS opens what is
dropped into its window, unless a task names a provider of data and its address.
"""

import json
import os
import sys
from pathlib import Path

from osgeo import gdal, ogr
from qgis.analysis import QgsNativeAlgorithms
from qgis.core import (
    NULL,
    Qgis,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsFeatureRequest,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsProviderRegistry,
    QgsProviderSublayerDetails,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QDate, QDateTime, QSize, Qt, QVariant
from qgis.PyQt.QtGui import QColor

said = []
"""What QGIS and GDAL have complained of since this was last emptied."""


def listen():
    """Note all complaints."""
    levels = {Qgis.Warning: "warning", Qgis.Critical: "error"}

    def from_qgis(text, tag, level):
        if level in levels:
            said.append(f"{levels[level]} of {tag}: {text}")

    def from_gdal(kind, _, text):
        # QGIS 3.40 tries whether a .json is a picture; a file that does not open has no layers, which is seen.
        if kind >= gdal.CE_Warning and "not recognized as being in a supported file format" not in text:
            said.append(f"GDAL: {text}")

    QgsApplication.messageLog().messageReceived[str, str, Qgis.MessageLevel].connect(from_qgis)
    gdal.PushErrorHandler(from_gdal)


def complaints():
    """Return what was complained of, and forget it."""
    found = list(dict.fromkeys(said))
    said.clear()
    return found


def plain(value):
    """Return a value as JSON has it; times with the zone that they are in, if they have one."""
    if value == NULL or (isinstance(value, QVariant) and value.isNull()):
        return None
    if isinstance(value, QDateTime):
        zone = {Qt.LocalTime: "", Qt.UTC: "Z"}.get(value.timeSpec(), value.timeZoneAbbreviation())
        return value.toString("yyyy-MM-ddTHH:mm:ss.zzz") + zone
    if isinstance(value, QDate):
        return value.toString("yyyy-MM-dd")
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def layers_of(task):
    """Return the layers that a file gives, with its style where the task names one."""
    if "photos" in task:
        found = [photos_in(task["photos"])]
    elif "uri" in task:
        found = [QgsVectorLayer(task["uri"], task.get("name", "layer"), task["provider"])]
    else:
        options = QgsProviderSublayerDetails.LayerOptions(QgsCoordinateTransformContext())
        parts = QgsProviderRegistry.instance().querySublayers(task["path"])
        found = [part.toLayer(options) for part in parts if task.get("layer") in (None, part.name())]
    if "style" in task:
        for layer in found:
            text, is_applied = layer.loadNamedStyle(task["style"])
            if not is_applied:
                said.append(f"{task['style']}: {text}")
    return found


def photos_in(folder):
    """Return the layer that Import Geotagged Photos makes of a folder."""
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(QgsProject.instance())
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("native:importphotos")
    words = {"FOLDER": folder, "RECURSIVE": True, "OUTPUT": "memory:"}
    results, is_done = algorithm.run(words, context, feedback)
    if not is_done:
        said.append(f"{folder}: {feedback.textLog()}")
    return context.takeResultLayer(results["OUTPUT"])


def facts(layer, task):
    """Return what QGIS knows of a layer, and its first rows."""
    if not layer.isValid():
        return {
            "valid": False,
            "name": layer.name(),
            "provider": layer.providerType(),
            "error": layer.error().message(),
        }
    extent = layer.extent()
    names = [field.name() for field in layer.fields()]
    rows, places = [], []
    for feature in layer.getFeatures(QgsFeatureRequest().setLimit(task.get("rows", 20))):
        rows.append([plain(feature[name]) for name in names])
        places.append(feature.geometry().asWkt(12) if feature.hasGeometry() else None)
    return {
        "valid": True,
        "name": layer.name(),
        "provider": layer.providerType(),
        "geometry": QgsWkbTypes.displayString(layer.wkbType()),
        "crs": layer.crs().authid(),
        "count": sum(1 for _ in layer.getFeatures(QgsFeatureRequest().setNoAttributes())),
        "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
        "fields": {field.name(): field.typeName() for field in layer.fields()},
        "rows": rows,
        "places": places,
        "renderer": layer.renderer().type() if layer.renderer() else None,
        "legend": [item.label() for item in layer.renderer().legendSymbolItems()] if layer.renderer() else [],
        "tip": tip(layer),
    }


def tip(layer):
    """Return the map tip of the first feature."""
    feature = next(layer.getFeatures(), None)
    if feature is None or not layer.mapTipTemplate():
        return ""
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    context.setFeature(feature)
    return QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context)


def draw(task):
    """Draw layers, the first at the bottom, into a PNG; return what went wrong."""
    layers = [layer for each in task["layers"] for layer in layers_of(each)]
    settings = QgsMapSettings()
    settings.setLayers(layers[::-1])
    crs = QgsCoordinateReferenceSystem(task.get("crs", "EPSG:4326"))
    settings.setDestinationCrs(crs)
    settings.setTransformContext(QgsProject.instance().transformContext())
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    there = QgsCoordinateTransform(degrees, crs, QgsProject.instance())
    settings.setExtent(there.transformBoundingBox(QgsRectangle(*task["extent"])))
    settings.setOutputSize(QSize(*task["size"]))
    settings.setOutputDpi(task.get("dpi", 96))
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    shown = settings.visibleExtent()
    job.renderedImage().save(task["picture"])
    return {
        "errors": [error.message for error in job.errors()],
        "extent": [shown.xMinimum(), shown.yMinimum(), shown.xMaximum(), shown.yMaximum()],
    }


def main():
    """Do the tasks."""
    QgsApplication.setPrefixPath(os.environ.get("QGIS_PREFIX_PATH", "/usr"), True)
    application = QgsApplication([], False)
    application.initQgis()
    QgsApplication.processingRegistry().addProvider(QgsNativeAlgorithms())
    listen()
    tasks = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    about = {"qgis": Qgis.QGIS_VERSION.split("-")[0], "gdal": gdal.__version__}
    answers = {**about, "parquet": ogr.GetDriverByName("Parquet") is not None, "answers": []}
    for task in tasks:
        complaints()
        answer = draw(task) if "picture" in task else {"layers": [facts(layer, task) for layer in layers_of(task)]}
        answers["answers"].append({**answer, "complaints": complaints()})
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")
    os._exit(0)  # what is left of layers may crash an orderly end


main()
