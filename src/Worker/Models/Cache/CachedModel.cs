namespace Sluice.Worker.Models.Cache;

/// <summary>
/// An optimised copy that is held: until it is disposed, its entry is not removed to make room. To be loaded with graph
/// optimisation off (<c>ORT_DISABLE_ALL</c>): it has been done.
/// </summary>
public sealed class CachedModel : IDisposable
{
    private readonly FileStream hold;

    internal CachedModel(string path, FileStream hold) => (Path, this.hold) = (path, hold);

    /// <summary>The copy's model.onnx.</summary>
    public string Path { get; }

    public void Dispose() => hold.Dispose();
}
