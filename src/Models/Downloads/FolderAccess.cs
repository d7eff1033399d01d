namespace Sluice.Models.Downloads;

/// <summary>Lets workers read folders of models.</summary>
public static class FolderAccess
{
    private const UnixFileMode SharedFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private const UnixFileMode SharedFile = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead
        | UnixFileMode.OtherRead;

    /// <summary>
    /// Lets other users read a model, because the user of a container differs from the gateway's. The folder that
    /// contains the store decides who reaches it.
    /// </summary>
    public static void Share(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        var all = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            AttributesToSkip = FileAttributes.ReparsePoint,
        };
        foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos("*", all)
            .Prepend(new DirectoryInfo(folder)))
        {
            var mode = entry is DirectoryInfo ? SharedFolder : SharedFile;
            if (entry.UnixFileMode != mode) entry.UnixFileMode = mode;
        }
    }

    /// <summary>
    /// Returns a model repository in which a folder is the only model and has the given name. It is a symbolic link,
    /// because a folder can be the model of several endpoints.
    /// </summary>
    /// <param name="owner">The folder that gets the repository.</param>
    /// <param name="folder">The folder of the model: absolute, or relative to the link.</param>
    /// <param name="name">The name of the model.</param>
    public static string Repository(string owner, string folder, string name)
    {
        var repository = Path.Combine(owner, "names", name);
        var link = Path.Combine(repository, name);
        Directory.CreateDirectory(repository);
        // The target of an owner never changes, so a link that another gateway created is the same one.
        if (new FileInfo(link).LinkTarget != folder)
            try
            {
                File.CreateSymbolicLink(link, folder);
            }
            catch (IOException) when (new FileInfo(link).LinkTarget == folder)
            {
                // It exists now.
            }

        return repository;
    }
}
