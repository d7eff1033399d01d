using System.Runtime.InteropServices;

namespace Sluice.Core;

/// <summary>
/// Keeps what this process knows (admin key, Redis' password) from other processes of its user, workers among them: <c>/proc/PID/environ</c> and
/// <c>/proc/PID/mem</c> are root's then, nobody but root can attach to it, and it leaves no core dump. What anyone may read there (<c>stat</c>,
/// <c>status</c>) stays readable, and its children begin as always (prctl(2), PR_SET_DUMPABLE).
/// </summary>
public static partial class Undumpable
{
    private const int SetDumpable = 4;

    public static void Become()
    {
        if (OperatingSystem.IsLinux()) _ = Control(SetDumpable, 0, 0, 0, 0);
    }

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int Control(int option, nuint value, nuint unused, nuint unused2, nuint unused3);
}
