using System.Globalization;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Providers;

/// <summary>
/// Learns from a session's first run which provider ran which node: ONNX Runtime's profile of that run, which ends with it,
/// so that what is served is not slowed. Its record of assignments (<see cref="PlacementReader"/>) comes without a run, but
/// leaves out what a provider took while it changed the layout (seen with WebGPU: 2 of 12 nodes); it is used where it is
/// complete, with the CPU alone, and for what TensorRT fused into one node. Branches that the run did not take are not counted.
/// </summary>
public sealed class PlacementProfile : IDisposable
{
    /// <summary>ONNX Runtime's own nodes between providers; a model has none.</summary>
    private static readonly string[] Copies = ["MemcpyToHost", "MemcpyFromHost"];

    private readonly string? prefix;

    private PlacementProfile(string? prefix) => this.prefix = prefix;

    /// <summary>Prepares options; to be called before the session is made.</summary>
    /// <param name="options">The session's.</param>
    /// <param name="cpuOnly">No other provider is on the options: no profile is needed.</param>
    public static PlacementProfile Begin(SessionOptions options, bool cpuOnly)
    {
        PlacementReader.Ask(options);
        if (cpuOnly) return new PlacementProfile(null);
        var prefix = Path.Combine(Path.GetTempPath(), string.Create(CultureInfo.InvariantCulture, $"sluice-placement-{Environment.ProcessId}-{Guid.NewGuid():N}"));
        options.ProfileOutputPathPrefix = prefix;
        options.EnableProfiling = true;
        return new PlacementProfile(prefix);
    }

    /// <summary>After the first run: ends the profile and counts. Throws when the profile could not be written.</summary>
    public ModelPlacement End(InferenceSession session)
    {
        var recorded = PlacementReader.Read(session);
        if (prefix is null) return recorded;
        var path = session.EndProfiling();
        try
        {
            using var file = File.OpenRead(path);
            var ran = Parse(file);
            var fused = recorded.Placed.Where(n => n.Provider == "tensorrt").ToList();
            return fused.Count == 0 ? new ModelPlacement(ran) : new ModelPlacement([.. fused, .. ran.Where(n => n.Provider != "tensorrt")]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new InvalidOperationException($"where the nodes were placed cannot be read ({e.Message}): TMPDIR must be a folder that can be written", e);
        }
        finally
        {
            Dispose();
        }
    }

    /// <summary>The nodes of a profile (an array of trace events), each once, however often it ran.</summary>
    public static IReadOnlyList<PlacedNode> Parse(Stream profile)
    {
        using var document = JsonDocument.Parse(profile);
        var nodes = new Dictionary<(string, string), PlacedNode>();
        foreach (var happened in document.RootElement.EnumerateArray())
        {
            if (Text(happened, "cat") != "Node" || !happened.TryGetProperty("args", out var args)) continue;
            var (name, type) = (Text(happened, "name"), Text(args, "op_name"));
            if (!name.EndsWith("_kernel_time", StringComparison.Ordinal) || type.Length == 0 || Copies.Contains(type)) continue;
            nodes[(name, Text(args, "node_index"))] =
                new PlacedNode(PlacementReader.ShortName(Text(args, "provider")), name[..^"_kernel_time".Length], type);
        }

        return [.. nodes.Values];
    }

    /// <summary>Removes what a session that never ran left behind.</summary>
    public void Dispose()
    {
        if (prefix is null) return;
        foreach (var file in Directory.EnumerateFiles(Path.GetTempPath(), Path.GetFileName(prefix) + "*")) File.Delete(file);
    }

    private static string Text(JsonElement of, string name) =>
        of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
