namespace Sluice.Worker.Models;

/// <summary>
/// Reads class names from <c>labels.txt</c>, one per line. The file is in the version's folder or in the model's
/// folder.
/// </summary>
internal static class ModelLabels
{
    private const string FileName = "labels.txt";

    public static string[] Read(string modelPath)
    {
        var version = Path.GetDirectoryName(modelPath)!;
        foreach (var folder in new[] { version, Path.GetDirectoryName(version)! })
            if (File.Exists(Path.Combine(folder, FileName))) return File.ReadAllLines(Path.Combine(folder, FileName));
        return [];
    }
}
