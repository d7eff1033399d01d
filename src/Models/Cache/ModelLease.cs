namespace Sluice.Models.Cache;

/// <summary>The right to read a model of this node. While it is held, the model is not deleted.</summary>
public sealed class ModelLease : IDisposable
{
    private readonly IDisposable? use;

    internal ModelLease(string root, string folder, string repository, IDisposable? use)
    {
        Root = root;
        Folder = folder;
        Repository = repository;
        this.use = use;
    }

    /// <summary>The folder with the files of the model.</summary>
    public string Folder { get; }

    /// <summary>A model repository in which the model has its name.</summary>
    public string Repository { get; }

    /// <summary>The store that has the model.</summary>
    public string Root { get; }

    /// <summary>The folder that has the model and its repository, relative to <see cref="Root"/>.</summary>
    public string Entry => Path.GetRelativePath(Root, Path.GetDirectoryName(Folder)!);

    /// <summary>The repository, relative to <see cref="Entry"/>.</summary>
    public string RepositoryInEntry => Path.GetRelativePath(Path.GetDirectoryName(Folder)!, Repository);

    /// <summary>Whether the model was downloaded for this lease, or for another one at the same time.</summary>
    public bool WasDownloaded { get; init; }

    public void Dispose() => use?.Dispose();
}
