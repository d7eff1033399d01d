using Sluice.Worker.Configuration;
using Sluice.Worker.Models;
using Sluice.Worker.Models.Inspection;

namespace Sluice.Worker.Serving;

/// <summary>
/// <c>Sluice.Worker inspect FOLDER</c>: checks the files of a model before any process loads them. Exit codes: 0 if
/// the folder has a model and all its versions pass, 1 if not, 2 for unknown arguments.
/// </summary>
public static class InspectCommand
{
    /// <summary>The argument that selects the command.</summary>
    public const string Verb = "inspect";

    /// <summary>Runs the command.</summary>
    /// <param name="arguments">The folder of the model.</param>
    /// <param name="env">Returns a variable of the environment: the limits of models.</param>
    /// <param name="output">Receives a line for each version, or the reason of the rejection.</param>
    public static async Task<int> RunAsync(
        IReadOnlyList<string> arguments, Func<string, string?> env, TextWriter output)
    {
        if (arguments is not [var folder])
        {
            await output.WriteLineAsync("usage: Sluice.Worker inspect FOLDER");
            return 2;
        }

        try
        {
            var limits = ModelLimits.Read(env);
            var models = FindModels(folder);
            if (models.Count == 0)
            {
                await output.WriteLineAsync(Missing(folder));
                return 1;
            }

            foreach (var path in models)
            {
                var facts = ModelInspector.Inspect(path, limits);
                await output.WriteLineAsync($"{Path.GetRelativePath(folder, path)}: {facts.ModelBytes} bytes, "
                    + $"{facts.Nodes} nodes, {facts.ExternalFiles.Count} external files");
            }

            return 0;
        }
        catch (Exception e) when (e is UnsafeModelException or InvalidDataException or IOException
            or UnauthorizedAccessException or InvalidOperationException)
        {
            // Temporary folders are of no use to the client that reads the reason.
            await output.WriteLineAsync(e.Message.Replace(
                Path.GetFullPath(folder).TrimEnd('/') + "/", "", StringComparison.Ordinal));
            return 1;
        }
    }

    /// <summary>Returns the models of all versions, or of the folder itself.</summary>
    private static List<string> FindModels(string folder)
    {
        var versions = Directory.EnumerateDirectories(folder)
            .Where(d => Path.GetFileName(d) is { Length: <= 9 } name && name.All(char.IsAsciiDigit)).Order().ToList();
        return [.. (versions.Count > 0 ? versions : [folder]).Select(ModelFolder.FindModel).OfType<string>()];
    }

    private static string Missing(string folder)
    {
        var entries = Directory.EnumerateFileSystemEntries(folder).Select(e => Path.GetFileName(e)).Order().Take(20);
        return "no model.onnx, VERSION/model.onnx, onnx/model.onnx or file that genai_config.json names; the folder "
            + $"contains {string.Join(", ", entries.DefaultIfEmpty("nothing"))}";
    }
}
