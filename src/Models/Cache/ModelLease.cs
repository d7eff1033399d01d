namespace Sluice.Models.Cache;

/// <summary>The right to read a model of this node. While it is held, the model is not deleted.</summary>
public sealed class ModelLease : IDisposable
{
    private readonly IDisposable? use;

    internal ModelLease(string folder, string repository, bool downloaded, IDisposable? use)
    {
        Folder = folder;
        Repository = repository;
        WasDownloaded = downloaded;
        this.use = use;
    }

    /// <summary>The folder with the files of the model.</summary>
    public string Folder { get; }

    /// <summary>A model repository in which the model has its name.</summary>
    public string Repository { get; }

    /// <summary>The folder in the store that has the model and its repository, relative to the store.</summary>
    public string Entry => $"models/{Path.GetFileName(Path.GetDirectoryName(Folder))}";

    /// <summary>The repository, relative to <see cref="Entry"/>.</summary>
    public string RepositoryInEntry => Path.GetRelativePath(Path.GetDirectoryName(Folder)!, Repository);

    /// <summary>Whether the model was downloaded for this lease, or for another one at the same time.</summary>
    public bool WasDownloaded { get; }

    public void Dispose() => use?.Dispose();
}
