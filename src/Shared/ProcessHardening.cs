using System.Runtime.InteropServices;

namespace Sluice.Shared;

/// <summary>
/// Protects the secrets of this process (admin key, Redis password) from other processes of the same user, including
/// workers. Afterwards only root can read <c>/proc/PID/environ</c> and <c>/proc/PID/mem</c> and attach a debugger, and
/// the process leaves no core dump. Entries that every user can read (<c>stat</c>, <c>status</c>) stay readable, and
/// children are not affected (prctl(2), PR_SET_DUMPABLE).
/// </summary>
public static partial class ProcessHardening
{
    private const int SetDumpable = 4;

    public static void Apply()
    {
        if (OperatingSystem.IsLinux()) _ = Control(SetDumpable, 0, 0, 0, 0);
    }

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int Control(int option, nuint value, nuint unused, nuint unused2, nuint unused3);
}
