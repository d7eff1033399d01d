using System.Globalization;
using Sluice.Worker.Configuration;

namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Checks the external files that hold a model's tensors. A location is a path from an untrusted file and was the
/// attack vector of CVE-2022-25882 (../), CVE-2024-27318 (sub/../../x) and CVE-2026-27489 (symbolic link). It must
/// name a regular file without further hard links, below the model's folder, and the path must not contain a symbolic
/// link.
/// </summary>
internal sealed class ExternalData(string folder, ModelLimits limits, Func<string, string, UnsafeModelException> refuse)
{
    /// <summary>
    /// Marker with which ONNX Runtime denotes an address in memory. It accepted the marker from files once (its pull
    /// request 28709).
    /// </summary>
    private const string MemoryMark = "_ORT_MEM_ADDR_";

    private const string Allowed = "a relative path below the model's folder, without '..' and links";

    private readonly Dictionary<string, long> sizes = [];

    /// <summary>Full paths of the files, in ordinal order.</summary>
    public IReadOnlyList<string> Files => [.. sizes.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Total bytes of the files on disk.</summary>
    public long TotalBytes => sizes.Values.Sum();

    /// <summary>
    /// Checks the entries of a tensor's <c>external_data</c>. Throws unless they denote a range inside a file of this
    /// model.
    /// </summary>
    /// <param name="tensor">Name of the tensor, for messages.</param>
    /// <param name="entries">Keys and values as written in the file.</param>
    /// <param name="bytes">Bytes that the tensor's shape and type require.</param>
    public void Check(string tensor, IReadOnlyDictionary<string, string> entries, long bytes)
    {
        foreach (var key in entries.Keys)
            if (key is not ("location" or "offset" or "length" or "checksum"))
                throw refuse(
                    $"tensor '{tensor}' has external_data key '{ProtoReader.Printable(key)}'",
                    "location, offset, length, checksum");
        if (!entries.TryGetValue("location", out var location))
            throw refuse($"tensor '{tensor}' is external and has no location", Allowed);
        var size = SizeOf(tensor, location);
        var offset = Number(tensor, entries, "offset") ?? 0;
        var length = Number(tensor, entries, "length") ?? bytes;
        if (length != bytes)
            throw refuse($"tensor '{tensor}' has {length} external bytes", $"the {bytes} that its shape and type take");
        if (offset > size || length > size - offset)
            throw refuse(
                $"tensor '{tensor}' is at {offset} + {length} in '{ProtoReader.Printable(location)}'",
                $"at most the file's {size} bytes");
    }

    private static bool IsLfsPointer(string path)
    {
        try
        {
            using var file = File.OpenHandle(path);
            Span<byte> head = stackalloc byte[FileKind.Head];
            return FileKind.IsLfsPointer(head[..RandomAccess.Read(file, head, 0)]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private long SizeOf(string tensor, string location)
    {
        var shown = $"tensor '{tensor}' is in '{ProtoReader.Printable(location)}'";
        if (location.Contains(MemoryMark, StringComparison.OrdinalIgnoreCase))
            throw refuse($"{shown}, an address in memory", Allowed);
        // '\' and ':' can be part of a file name on Linux but are separators elsewhere. A model that needs them is not
        // portable.
        if (location.Length is 0 or > 4096 || location.Any(c => char.IsControl(c) || c is '\\' or ':'))
            throw refuse(shown, Allowed);
        var parts = location.Split('/');
        if (parts.Any(p => p is "" or "..")) throw refuse(shown, Allowed);
        var path = folder;
        for (var i = 0; i < parts.Length; i++)
        {
            if (parts[i] == ".") continue;
            path = Path.Combine(path, parts[i]);
            var last = i == parts.Length - 1;
            if (last && sizes.TryGetValue(path, out var known)) return known;
            var stat = Stat(shown, path) ?? throw refuse($"{shown}, which does not exist", Allowed);
            if (stat.IsSymbolicLink) throw refuse($"{shown}, and {parts[i]} is a symbolic link", Allowed);
            if (!last && !stat.IsFolder) throw refuse($"{shown}, and {parts[i]} is not a folder", Allowed);
            if (last) return Add(shown, path, stat);
        }

        throw refuse(shown, Allowed);
    }

    private FileStat? Stat(string shown, string path)
    {
        try
        {
            return FileStat.Read(path);
        }
        catch (IOException e)
        {
            // The name is too long, or the folder cannot be searched.
            throw refuse($"{shown}, which cannot be read ({e.Message})", Allowed);
        }
    }

    private long Add(string shown, string path, FileStat stat)
    {
        if (!stat.IsFile) throw refuse($"{shown}, which is not a regular file", Allowed);
        if (stat.Links > 1) throw refuse($"{shown}, a file with {stat.Links} names (hard links)", "one name");
        if (stat.Size <= FileKind.MaxLfsPointer && IsLfsPointer(path))
            throw refuse($"{shown}, which is a Git LFS pointer", $"a file of weights; {FileKind.FetchLfs}");
        sizes[path] = stat.Size;
        return TotalBytes <= limits.MaxModelBytes ? stat.Size
            : throw refuse($"{TotalBytes} bytes in external files", $"{limits.MaxModelBytes} (SLUICE_MAX_MODEL_BYTES)");
    }

    private long? Number(string tensor, IReadOnlyDictionary<string, string> entries, string key)
    {
        if (!entries.TryGetValue(key, out var text)) return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n
            : throw refuse(
                $"tensor '{tensor}' has {key} '{ProtoReader.Printable(text)}'",
                "a number from 0 to 9223372036854775807");
    }
}
