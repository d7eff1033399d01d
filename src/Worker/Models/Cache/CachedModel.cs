namespace Sluice.Worker.Models.Cache;

/// <summary>
/// An optimized copy whose entry is locked: the entry is not deleted until the copy is disposed. Load it with graph
/// optimization off (<c>ORT_DISABLE_ALL</c>), because its graph is already optimized.
/// </summary>
public sealed class CachedModel : IDisposable
{
    private readonly FileStream hold;

    internal CachedModel(string path, FileStream hold)
    {
        Path = path;
        this.hold = hold;
    }

    /// <summary>Path of the copy's model.onnx.</summary>
    public string Path { get; }

    public void Dispose() => hold.Dispose();
}
