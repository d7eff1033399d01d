namespace Sluice.Worker.Models.Cache;

/// <summary>
/// An optimised copy whose entry is locked: the entry is not deleted until the copy is disposed. Load it with graph
/// optimisation off (<c>ORT_DISABLE_ALL</c>), because its graph is already optimised.
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
