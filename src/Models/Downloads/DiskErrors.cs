namespace Sluice.Models.Downloads;

/// <summary>Recognizes errors of a full disk.</summary>
public static class DiskErrors
{
    /// <summary>The error numbers of a full disk, ENOSPC and EDQUOT; see errno(3).</summary>
    private static readonly int[] NoSpace = [28, 122];

    /// <summary>Whether an error means that the disk, or its quota, is full.</summary>
    public static bool IsDiskFull(Exception e) => e is IOException && NoSpace.Contains(e.HResult);
}
