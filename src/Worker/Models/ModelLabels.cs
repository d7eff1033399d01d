namespace Sluice.Worker.Models;

/// <summary>Names of classes: <c>labels.txt</c> beside the version's model or in the model's folder, a line each.</summary>
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
