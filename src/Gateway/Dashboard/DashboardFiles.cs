using System.Collections.Frozen;
using System.Reflection;

namespace Sluice.Gateway.Dashboard;

/// <summary>The files of the dashboard. Pure.</summary>
/// <param name="files">The files by their path below <c>/ui/</c>.</param>
public sealed class DashboardFiles(IReadOnlyDictionary<string, byte[]> files)
{
    /// <summary>The names of the embedded files begin with it; see the project file.</summary>
    private const string ResourcePrefix = "dashboard/";

    private const string Index = "index.html";

    private readonly FrozenDictionary<string, DashboardFile> files = files
        .ToFrozenDictionary(f => f.Key, f => new DashboardFile(f.Key, f.Value), StringComparer.Ordinal);

    /// <summary>Whether the gateway was built with the dashboard.</summary>
    public bool IsBuilt => files.ContainsKey(Index);

    /// <summary>Reads the files that are embedded in an assembly; none if it was built without the dashboard.</summary>
    public static DashboardFiles Read(Assembly assembly)
    {
        var read = new Dictionary<string, byte[]>();
        foreach (var name in assembly.GetManifestResourceNames()
            .Where(n => n.StartsWith(ResourcePrefix, StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            var content = new byte[stream.Length];
            stream.ReadExactly(content);
            read[name[ResourcePrefix.Length..].Replace('\\', '/')] = content;
        }

        return new DashboardFiles(read);
    }

    /// <summary>
    /// Returns the file of a path; null: there is none. All paths that are no file are pages of the dashboard: one
    /// file, which shows the page of its path. A name in a path may contain a dot. A missing file of <c>assets/</c>
    /// is not a page: a script of another version must not be HTML.
    /// </summary>
    /// <param name="path">The path below <c>/ui/</c>.</param>
    public DashboardFile? Find(string path)
    {
        if (files.TryGetValue(path, out var file)) return file;
        return path.StartsWith("assets/", StringComparison.Ordinal) ? null : files.GetValueOrDefault(Index);
    }
}
